// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops_test looks at the Kinds as GitOps tools do: with kstatus, which Flux uses, and with Argo CD's health
// script.
package gitops_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// project is the namespace of the tests.
const project = "shop"

// health is what the tools say of an object.
type health struct {
	kstatus status.Status
	argoCD  string
}

var (
	unseen      = health{status.InProgressStatus, "Progressing"}
	ready       = health{status.CurrentStatus, "Healthy"}
	broken      = health{status.InProgressStatus, "Degraded"}
	waiting     = health{status.InProgressStatus, "Suspended"}
	frozen      = health{status.CurrentStatus, "Suspended"}
	terminating = health{status.TerminatingStatus, "Progressing"}
)

func TestReadiness(t *testing.T) {
	ctrl.SetLogger(zap.New(zap.WriteTo(t.Output())))
	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	check(t, v1alpha1.AddToScheme(scheme))
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	check(t, err)
	t.Cleanup(func() { check(t, environment.Stop()) })
	k8s, err := client.New(config, client.Options{Scheme: scheme})
	check(t, err)
	check(t, k8s.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}}))

	flag := builders.MakeFlag("checkout", project).Boolean().Environment("production").Obj()
	lost := builders.MakeFlag("lost", project).Boolean().Environment("nowhere").Obj()
	audience := builders.MakeAudience("staff", project).Members("alice").Obj()
	purchase := builders.MakeEvent("purchase", project).Obj()
	production := builders.MakeEnvironment("production", project).Obj()
	manual := builders.MakeEnvironment("manual", project).Manual().Obj()
	taken := builders.MakeEnvironment("taken", project).Obj()
	check(
		t,
		k8s.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "flags-taken"}}),
	)
	all := []client.Object{flag, lost, audience, purchase, production, manual, taken}
	for _, object := range all {
		check(t, k8s.Create(t.Context(), object))
	}
	is := func(when string, object client.Object, want health) {
		t.Helper()
		eventually(t, func() error {
			if got := healthOf(t, k8s, object); got != want {
				return fmt.Errorf("%s: %T %s is %v, want %v", when, object, object.GetName(), got, want)
			}
			return nil
		})
	}

	for _, object := range all {
		is("before the operator runs", object, unseen)
	}
	stop := startOperator(t, config, scheme)
	for _, object := range []client.Object{flag, audience, purchase, production} {
		is("once the operator runs", object, ready)
	}
	is("naming an environment that is not there", lost, broken)
	is("when its name is taken", taken, broken)
	is("before the first publish by hand", manual, waiting)

	suspended := production.DeepCopy()
	suspended.Spec.Publish.Suspend = true
	check(t, k8s.Patch(t.Context(), suspended, client.MergeFrom(production)))
	is("while suspended", production, frozen)

	stop()
	changed := flag.DeepCopy()
	changed.Spec.Description = "changed"
	changed.Finalizers = []string{"example.com/held"}
	check(t, k8s.Patch(t.Context(), changed, client.MergeFrom(flag)))
	is("changed while the operator is away", flag, unseen)
	check(t, k8s.Delete(t.Context(), flag))
	is("while it is being deleted", flag, terminating)
}

// healthOf asks both tools.
func healthOf(t *testing.T, k8s client.Client, object client.Object) health {
	t.Helper()
	gvk, err := apiutil.GVKForObject(object, k8s.Scheme())
	check(t, err)
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(gvk)
	check(t, k8s.Get(t.Context(), client.ObjectKeyFromObject(object), stored))
	result, err := status.Compute(stored)
	check(t, err)
	return health{result.Status, argoCD(t, stored)}
}

// argoCD runs the health script as Argo CD does: in a Lua that has the object as obj and only the libraries that Argo
// CD opens.
func argoCD(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "..", "config", "argocd", "health.lua"))
	check(t, err)
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString} {
		check(t, machine.CallByParam(lua.P{Fn: machine.NewFunction(open), Protect: true}, lua.LString(name)))
	}
	machine.SetGlobal("obj", toLua(machine, object.Object))
	check(t, machine.DoString(string(script)))
	answer, ok := machine.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatal("the script returns no table")
	}
	if answer.RawGetString("message").String() == "" {
		t.Fatal("the script says no message")
	}
	return answer.RawGetString("status").String()
}

func toLua(machine *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := machine.NewTable()
		for key, field := range value {
			table.RawSetString(key, toLua(machine, field))
		}
		return table
	case []any:
		table := machine.NewTable()
		for _, item := range value {
			table.Append(toLua(machine, item))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

// startOperator runs the controllers until the test ends or stop is called.
func startOperator(t *testing.T, config *rest.Config, scheme *runtime.Scheme) (stop func()) {
	t.Helper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(),
		Client:  controllers.ClientOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	check(t, index.Setup(ctx, mgr.GetFieldIndexer()))
	check(t, controllers.Setup(mgr, controllers.Options{}))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			check(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually tries until there is no error, for half a minute.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
