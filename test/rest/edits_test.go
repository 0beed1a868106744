// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/avsb"
)

// atOnce makes two changes at the same time.
func atOnce(a, b func()) {
	begin := make(chan struct{})
	var group sync.WaitGroup
	for _, change := range []func(){a, b} {
		group.Go(func() {
			defer GinkgoRecover()
			<-begin
			change()
		})
	}
	close(begin)
	group.Wait()
}

var _ = Describe("An edit with kubectl and a write through REST at the same time", func() {
	It("both hold where they are of different parts", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
		for round := range 50 {
			description, enabled := fmt.Sprintf("round %d", round), round%2 == 0
			atOnce(func() {
				Expect(
					patch(editor.kube, s.flag, types.MergePatchType, `{"spec": {"description": "`+description+`"}}`),
				).To(
					Succeed(),
				)
			}, func() {
				call(
					editor.token,
					http.StatusOK,
					http.MethodPost,
					s.phaseflag("new-checkout", "/toggle", s.staging),
					toggled(enabled),
				)
			})
			now := fresh(s.flag)
			Expect(now.Spec.Description).To(Equal(description))
			Expect(now.Spec.Environments[0].Enabled).To(Equal(enabled))
		}
	})

	It("are a conflict, or one after the other, where they are of the same part", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
		var conflicts int
		for round := 0; conflicts < 3 && round < 500; round++ {
			mine, theirs := fmt.Sprintf("rest-%d", round), fmt.Sprintf("kubectl-%d", round)
			var answer *servertest.Answer
			atOnce(func() {
				Expect(patch(editor.kube, s.flag, types.MergePatchType, `{"spec": {"tags": ["`+theirs+`"]}}`)).To(Succeed())
			}, func() {
				answer = world.Call(
					editor.token,
					http.MethodPut,
					s.phaseflag("new-checkout", "", s.staging),
					map[string]any{"tags": []string{mine}},
				)
			})
			now := fresh(s.flag).Spec.Tags
			switch answer.Status {
			case http.StatusConflict:
				conflicts++
				Expect(now).To(Equal([]string{theirs}), "a write that was refused has changed something")
			default:
				Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
				Expect(now).To(Or(Equal([]string{mine}), Equal([]string{theirs})))
			}
		}
		Expect(conflicts).To(BeNumerically(">", 0))
	})
})

var _ = Describe("A flag that Argo CD owns", func() {
	It("is changed in Git, whichever view is asked, but can be switched off", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
		owned := builders.MakeFlag("search", s.namespace.Name).Boolean().Environment("staging").
			Annotation("argocd.argoproj.io/tracking-id", "storefront:flags.jackstaff.dev/FeatureFlag:x/search").Obj()
		world.Create(owned)
		spec := fresh(owned).Spec
		for _, write := range []struct {
			method, path string
			body         any
		}{
			{http.MethodPatch, s.avsb("/flags/search"), `{"description": "Newer"}`},
			{http.MethodPost, s.avsb("/flags/search/archive"), nil},
			{http.MethodPut, s.phaseflag("search", "", s.staging), `{"name": "Newer"}`},
			{http.MethodDelete, s.phaseflag("search", "", s.staging), nil},
			{http.MethodPatch, "/api/projects/" + s.namespace.Name + "/feature_flags/search/", `{"name": "Newer"}`},
		} {
			answer := call(editor.token, http.StatusConflict, write.method, write.path, write.body)
			Expect(string(answer.Body)).To(ContainSubstring("Argo CD (storefront)"), write.path)
		}
		call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/search/envs/staging"), toggled(false))
		now := fresh(owned)
		Expect(now.Spec).To(Equal(spec))
		Expect(now.Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "staging"))
	})
})

var _ = Describe("A flood of heartbeats", func() {
	It("makes one write of a status, and a key that no environment has is none of 10,000", func() {
		s, minutes := newShop(), clocktesting.NewFakeClock(time.Now())
		url := startHeartbeats(minutes)
		key := keyOf(s.staging, "client")
		beat := func(client *http.Client, key string, number int) int {
			body := fmt.Sprintf(
				`{"sdkKey": %q, "sdkType": "@acme/browser", "sdkVersion": "0.%d.0", "new": true}`,
				key,
				number%40,
			)
			request, err := http.NewRequestWithContext(
				context.Background(),
				http.MethodPost,
				url+"/api/sdk/heartbeat",
				strings.NewReader(body),
			)
			Expect(err).NotTo(HaveOccurred())
			request.Header.Set("Content-Type", "application/json")
			answer, err := client.Do(request)
			Expect(err).NotTo(HaveOccurred())
			defer answer.Body.Close()
			_, _ = (&bytes.Buffer{}).ReadFrom(answer.Body)
			return answer.StatusCode
		}
		Expect(beat(http.DefaultClient, "cli_nobody", 0)).To(Equal(http.StatusNotFound))
		Eventually(func() int { return beat(http.DefaultClient, key, 0) }).Should(Equal(http.StatusOK))
		// The operator has said all that it has to say of the environment.
		before := fresh(s.staging)
		Eventually(func() bool {
			last := before.ResourceVersion
			before = fresh(s.staging)
			return last == before.ResourceVersion
		}).WithPolling(2 * time.Second).Should(BeTrue())
		writes := writesOf(s.staging)

		var group sync.WaitGroup
		var sent atomic.Int64
		for range 4 {
			group.Go(func() {
				defer GinkgoRecover()
				keptAlive := &http.Client{Transport: &http.Transport{}}
				for number := sent.Add(1); number <= 10_000; number = sent.Add(1) {
					Expect(beat(keptAlive, key, int(number))).To(Equal(http.StatusOK))
				}
			})
		}
		group.Wait()
		Expect(fresh(s.staging).Status.SDKs).To(BeEmpty())
		minutes.Step(time.Minute)
		Eventually(func() []v1alpha1.SDK { return fresh(s.staging).Status.SDKs }).Should(HaveLen(40))
		Consistently(func() int { return len(writes()) }, "500ms").Should(BeNumerically("<=", 3))
		Expect(fresh(s.staging).Generation).To(Equal(before.Generation))
	})
})

// startHeartbeats serves the view that takes heartbeats once more, with minutes that a test makes pass.
func startHeartbeats(minutes clock.WithTicker) (url string) {
	GinkgoHelper()
	datafiles := store.NewStore()
	Expect(datafiles.SetupWithManager(world.Manager)).To(Succeed())
	srv, err := server.New(
		world.Manager,
		server.Options{SessionKey: bytes.Repeat([]byte("k"), 32), Clock: clock.RealClock{}},
	)
	Expect(err).NotTo(HaveOccurred())
	gatherer := heartbeat.New(world.Manager.GetClient(), world.Manager.GetAPIReader(), minutes)
	srv.Mount(avsb.New(server.Deps{
		Server: srv, Datafiles: datafiles, Heartbeats: gatherer, Clock: clock.RealClock{},
	}))
	Expect(world.Manager.Add(gatherer)).To(Succeed())
	listening := httptest.NewServer(srv)
	DeferCleanup(listening.Close)
	return listening.URL
}

// keyOf is an SDK key of an environment: server or client.
func keyOf(environment *v1alpha1.FlagEnvironment, kind string) (key string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		keys := fresh(environment).Status.SDKKeys
		g.Expect(keys).NotTo(BeEmpty())
		secret := &corev1.Secret{}
		g.Expect(
			world.Admin.Get(
				context.Background(),
				types.NamespacedName{Namespace: environment.Namespace, Name: keys[0].SecretName},
				secret,
			),
		).To(
			Succeed(),
		)
		key = string(secret.Data[kind])
		g.Expect(key).NotTo(BeEmpty())
	}).Should(Succeed())
	return key
}

// writesOf follows an environment, and returns the resource versions that it gets from now on.
func writesOf(environment *v1alpha1.FlagEnvironment) func() []string {
	GinkgoHelper()
	following, err := client.NewWithWatch(world.Config, client.Options{Scheme: world.Admin.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	events, err := following.Watch(context.Background(), &v1alpha1.FlagEnvironmentList{},
		client.InNamespace(environment.Namespace), client.MatchingFields{"metadata.name": environment.Name})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(events.Stop)
	begun := fresh(environment).ResourceVersion
	var mu sync.Mutex
	var versions []string
	go func() {
		for event := range events.ResultChan() {
			if object, ok := event.Object.(client.Object); ok && object.GetResourceVersion() != begun {
				mu.Lock()
				versions = append(versions, object.GetResourceVersion())
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return versions
	}
}
