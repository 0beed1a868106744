// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ofrep asks a running server with OpenFeature's own clients. "make conformance" runs it with all of them; by
// itself it leaves out those in JavaScript, unless their packages are installed (npm ci) and CONFORMANCE_NODE=node is
// set.
package ofrep

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	provider "github.com/open-feature/go-sdk-contrib/providers/ofrep"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

func TestClients(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "OFREP clients")
	if os.Getenv("CONFORMANCE_NODE") == "" {
		fmt.Println("NOT RUN: the OFREP clients in JavaScript, because CONFORMANCE_NODE does not name a Node.js.")
	}
}

var (
	world     *servertest.World
	datafiles = store.NewStore()
)

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		evaluations, err := usage.New(clock.RealClock{}, prometheus.NewRegistry())
		if err != nil {
			return err
		}
		ofrep.Mount(srv, datafiles, evaluations, clock.RealClock{})
		return datafiles.SetupWithManager(mgr)
	})
})

// answer is what a client says of a flag.
type answer struct {
	Value     any    `json:"value"`
	Variant   string `json:"variant"`
	Reason    string `json:"reason"`
	ErrorCode string `json:"errorCode"`
}

const unknown = "not/made up"

// published are the answers for alice, who has the plan beta, and changed those after another variation of colour was
// published.
var (
	published = map[string]answer{
		"ui/dark-mode": {Value: true, Variant: "on", Reason: "TARGETING_MATCH"},
		"colour":       {Value: "blue", Variant: "on", Reason: "STATIC"},
		"size":         {Value: 2.5, Variant: "on", Reason: "STATIC"},
		"options":      {Value: map[string]any{"deep": []any{1.0, "x"}}, Variant: "on", Reason: "STATIC"},
		unknown:        {Value: "none", Reason: "ERROR", ErrorCode: "FLAG_NOT_FOUND"},
	}
	changed = func() map[string]answer {
		all := maps.Clone(published)
		all["colour"] = answer{Value: "grey", Variant: "off", Reason: "STATIC"}
		return all
	}()
)

// shop is a project whose flags are served.
type shop struct {
	name                 string
	serverKey, clientKey string
}

func newShop() *shop {
	GinkgoHelper()
	ctx := context.Background()
	s := &shop{name: world.Project().Name}
	environment := builders.MakeEnvironment("production", s.name).Obj()
	flag := func(name string, flagType v1alpha1.FlagType, on, off string) client.Object {
		return builders.MakeFlag(
			name,
			s.name,
		).Type(
			flagType,
		).Variation(
			"on",
			on,
		).Variation(
			"off",
			off,
		).DefaultVariation(
			"off",
		).
			Environment(
				"production",
			).Fallthrough(
			"on",
		).Obj()
	}
	world.Create(environment,
		builders.MakeFlag("dark-mode", s.name).Key("ui/dark-mode").Boolean().Environment("production").
			Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj(),
		flag("colour", v1alpha1.FlagTypeString, `"blue"`, `"grey"`),
		flag("size", v1alpha1.FlagTypeNumber, `2.5`, `1`),
		flag("options", v1alpha1.FlagTypeJSON, `{"deep":[1,"x"]}`, `{}`),
	)
	Eventually(func(g Gomega) {
		g.Expect(world.Admin.Get(ctx, client.ObjectKeyFromObject(environment), environment)).To(Succeed())
		g.Expect(environment.Status.SDKKeys).NotTo(BeEmpty())
		secret := &corev1.Secret{}
		g.Expect(
			world.Admin.Get(
				ctx,
				types.NamespacedName{Namespace: s.name, Name: environment.Status.SDKKeys[0].SecretName},
				secret,
			),
		).To(
			Succeed(),
		)
		s.serverKey, s.clientKey = string(secret.Data["server"]), string(secret.Data["client"])
		served, _, known := datafiles.ByKey(s.serverKey)
		g.Expect(known).To(BeTrue())
		g.Expect(served.Engine().Len()).To(Equal(4))
	}).Should(Succeed())
	return s
}

// change changes what the environment says of a flag.
func (s *shop) change(name string, change func(*v1alpha1.EnvironmentConfig)) {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Eventually(func() error {
		Expect(world.Admin.Get(context.Background(), types.NamespacedName{Namespace: s.name, Name: name}, flag)).To(Succeed())
		change(&flag.Spec.Environments[0])
		return world.Admin.Update(context.Background(), flag)
	}).Should(Succeed())
}

// serveOff publishes the other variation. Of a flag that is merely switched off, the Go client would give the default
// of the code.
func serveOff(in *v1alpha1.EnvironmentConfig) { in.DefaultVariation = "off" }

// ask asks a client of the Go SDK.
func ask(of *openfeature.Client) map[string]answer {
	ctx := context.Background()
	alice := openfeature.NewEvaluationContext("alice", map[string]any{"plan": "beta"})
	summarise := func(value any, details openfeature.EvaluationDetails) answer {
		return answer{value, details.Variant, string(details.Reason), string(details.ErrorCode)}
	}
	mode, _ := of.BooleanValueDetails(ctx, "ui/dark-mode", false, alice)
	colour, _ := of.StringValueDetails(ctx, "colour", "none", alice)
	size, _ := of.FloatValueDetails(ctx, "size", -1, alice)
	options, _ := of.ObjectValueDetails(ctx, "options", map[string]any{}, alice)
	none, _ := of.StringValueDetails(ctx, unknown, "none", alice) // Each error is in the details too.
	return map[string]answer{
		"ui/dark-mode": summarise(
			mode.Value,
			mode.EvaluationDetails,
		),
		"colour":  summarise(colour.Value, colour.EvaluationDetails),
		"size":    summarise(size.Value, size.EvaluationDetails),
		"options": summarise(options.Value, options.EvaluationDetails),
		unknown:   summarise(none.Value, none.EvaluationDetails),
	}
}

var _ = Describe("OpenFeature's clients", func() {
	It("get what is published, in Go", func() {
		s := newShop()
		for name, option := range map[string]provider.Option{"key": provider.WithApiKeyAuth(s.serverKey), "token": provider.WithBearerToken(s.serverKey)} {
			Expect(openfeature.SetNamedProviderAndWait(s.name+name, provider.NewProvider(world.URL, option))).To(Succeed())
			Expect(ask(openfeature.NewClient(s.name + name))).To(Equal(published))
		}
		s.change("colour", serveOff)
		Eventually(func() map[string]answer { return ask(openfeature.NewClient(s.name + "key")) }).Should(Equal(changed))
	})

	It("get what is published, in JavaScript, and pages notice changes", func() {
		node := os.Getenv("CONFORMANCE_NODE")
		if node == "" {
			Skip("CONFORMANCE_NODE does not name a Node.js")
		}
		s := newShop()
		// Pages have an EventSource. In Node.js it is there from release 20.18 on where it is asked for.
		command := exec.CommandContext(context.Background(), node, "--experimental-eventsource", "client.js")
		command.Env = append(
			os.Environ(),
			"OFREP_URL="+world.URL,
			"OFREP_SERVER_KEY="+s.serverKey,
			"OFREP_CLIENT_KEY="+s.clientKey,
		)
		command.Stderr = GinkgoWriter
		output, err := command.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(command.Start()).To(Succeed())
		DeferCleanup(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		lines := bufio.NewScanner(output)
		report := func() map[string]map[string]answer {
			GinkgoHelper()
			Expect(lines.Scan()).To(BeTrue(), "the clients ended, or noticed nothing")
			said := struct {
				Server, Stream, Polling map[string]answer
				Statuses                []int
			}{}
			Expect(json.Unmarshal(lines.Bytes(), &said)).To(Succeed(), lines.Text())
			Expect(said.Statuses).To(ConsistOf(200, 304))
			return map[string]map[string]answer{"server": said.Server, "stream": said.Stream, "polling": said.Polling}
		}
		for name, said := range report() {
			Expect(said).To(Equal(published), name)
		}
		s.change("colour", serveOff)
		for name, said := range report() {
			Expect(said).To(Equal(changed), name)
		}
		s.change("size", func(in *v1alpha1.EnvironmentConfig) {
			in.Schedule = &v1alpha1.Schedule{DisableAt: &metav1.Time{Time: time.Now().Add(3 * time.Second)}}
		})
		for name, said := range report() {
			Expect(said).To(HaveKeyWithValue("size", answer{Value: 1.0, Variant: "off", Reason: "DISABLED"}), name)
		}
	})
})
