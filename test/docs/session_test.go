// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// project is the namespace of config/samples, which the pages speak of.
	project = "shop"
	// people is the namespace of the service accounts with the roles that pages name.
	people = "people"
	// administrator is the account of bin/run/env, who may do everything.
	administrator = "administrator"
	// patience is how long one thing may take before something must be wrong.
	patience = 2 * time.Minute
)

// session is a running `make run`.
type session struct {
	// root is the repository, and folder where the session writes.
	root, folder string
	// programs holds manager, jackstaff and run.
	programs string
	// environment are the lines of bin/run/env, by name.
	environment map[string]string
	admin       client.Client
	// goCache and goModules are the caches of go, which a page's shell with a home of its own would fill anew.
	goCache, goModules string
	// samples is what was wanted of the project when it was brought back last.
	samples map[string]string
}

// startSession builds the programs and starts what `make run` starts, until the test ends.
func startSession(t *testing.T) *session {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is the folder with kube-apiserver, etcd and kubectl; make control-plane fills bin/k8s")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	s := &session{root: root, folder: t.TempDir()}
	caches, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.goCache, s.goModules, _ = strings.Cut(strings.TrimSpace(string(caches)), "\n")
	if *running != "" {
		s.programs = filepath.Join(root, "bin")
		s.environment = readEnvironment(t, filepath.Join(*running, "env"))
		s.connect(t)
		return s
	}
	s.programs = filepath.Join(s.folder, "programs")
	build := exec.CommandContext(
		t.Context(),
		"go",
		"build",
		"-o",
		s.programs+"/",
		"./cmd/manager",
		"./cmd/jackstaff",
		"./hack/run",
	)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	s.start(t, assets)
	s.connect(t)
	return s
}

// start runs hack/run until the test ends, and returns when it says that it is ready.
func (s *session) start(t *testing.T, assets string) {
	t.Helper()
	state := filepath.Join(s.folder, "state")
	// Its end is a signal, upon which it stops the manager and the control plane.
	program := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(s.programs, "run"),
		"-assets", assets, "-manager", filepath.Join(s.programs, "manager"), "-state", state)
	program.Dir, program.Stderr = s.root, os.Stderr
	program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatalf("start make run: %v", err)
	}
	ready := make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		said := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "ready" && !said {
				said = true
				ready <- true
			}
		}
		if !said {
			ready <- false
		}
		_ = program.Wait()
	}()
	t.Cleanup(func() {
		_ = program.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	select {
	case ok := <-ready:
		if !ok {
			t.Fatal("make run ended before it was ready")
		}
	case <-time.After(patience):
		t.Fatal("make run is not ready")
	}
	s.environment = readEnvironment(t, filepath.Join(state, "env"))
}

// readEnvironment reads the lines that `. bin/run/env` would export.
func readEnvironment(t *testing.T, file string) map[string]string {
	t.Helper()
	lines, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for line := range strings.Lines(string(lines)) {
		if name, value, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); found {
			environment[name] = strings.Trim(value, "'")
		}
	}
	return environment
}

func (s *session) connect(t *testing.T) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.environment["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if s.admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: people}}
	if err := client.IgnoreAlreadyExists(s.admin.Create(t.Context(), namespace)); err != nil {
		t.Fatal(err)
	}
}

// reset brings the project back to what config/samples makes of an empty namespace, where a page has changed it.
func (s *session) reset(ctx context.Context) error {
	now, err := s.wanted(ctx)
	if err != nil || cmp.Equal(now, s.samples) {
		return err
	}
	if err := s.empty(ctx); err != nil {
		return err
	}
	for _, list := range []client.Object{
		&corev1.ConfigMap{}, &corev1.Secret{},
	} {
		if err := s.admin.DeleteAllOf(ctx, list, client.InNamespace(project),
			client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}); err != nil {
			return fmt.Errorf("delete what the operator left: %w", err)
		}
	}
	for _, list := range []client.Object{&rbacv1.RoleBinding{}, &rbacv1.Role{}} {
		if err := s.admin.DeleteAllOf(ctx, list, client.InNamespace(project)); err != nil {
			return fmt.Errorf("delete what a page gave: %w", err)
		}
	}
	apply := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"),
		"apply", "--server-side", "-k", "config/samples")
	apply.Dir, apply.Env = s.root, append(os.Environ(), "KUBECONFIG="+s.environment["KUBECONFIG"])
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("apply the samples: %w\n%s", err, out)
	}
	if err := s.wait(ctx, "the samples to be served", func() error {
		flags := &v1alpha1.FeatureFlagList{}
		if err := s.admin.List(ctx, flags, client.InNamespace(project)); err != nil {
			return err
		}
		for _, flag := range flags.Items {
			if !meta.IsStatusConditionTrue(flag.Status.Conditions, v1alpha1.PublishedCondition) {
				return fmt.Errorf("flag %s is not published", flag.Name)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	s.samples, err = s.wanted(ctx)
	return err
}

// wanted is what people want of the project and who may want it: every object but for its status, and the rights.
func (s *session) wanted(ctx context.Context) (map[string]string, error) {
	wanted := map[string]string{}
	lists := []client.ObjectList{&rbacv1.RoleBindingList{}, &rbacv1.RoleList{}, &corev1.SecretList{}}
	for _, kind := range v1alpha1.Kinds {
		lists = append(lists, kind.NewList())
	}
	for _, list := range lists {
		if err := s.admin.List(ctx, list, client.InNamespace(project)); err != nil {
			return nil, err
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			annotations := maps.Clone(object.GetAnnotations())
			delete(annotations, v1alpha1.ChangesAnnotation)
			wanted[fmt.Sprintf("%T %s %s", object, object.GetName(), object.GetUID())] =
				fmt.Sprint(object.GetGeneration(), annotations)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// empty deletes every object of the Kinds in the project, as somebody who confirms it.
func (s *session) empty(ctx context.Context) error {
	return s.wait(ctx, "the project to be empty", func() error {
		left := 0
		for _, kind := range v1alpha1.Kinds {
			list := kind.NewList()
			if err := s.admin.List(ctx, list, client.InNamespace(project)); err != nil {
				return err
			}
			if err := meta.EachListItem(list, func(item runtime.Object) error {
				left++
				return s.remove(ctx, item.(client.Object))
			}); err != nil {
				return err
			}
		}
		if left > 0 {
			return fmt.Errorf("%d objects are left", left)
		}
		return nil
	})
}

func (s *session) remove(ctx context.Context, object client.Object) error {
	if !object.GetDeletionTimestamp().IsZero() {
		return nil
	}
	confirmation := fmt.Appendf(
		nil,
		`{"metadata":{"annotations":{%q:%q}}}`,
		v1alpha1.ConfirmDeleteAnnotation,
		object.GetName(),
	)
	if err := s.admin.Patch(ctx, object, client.RawPatch("application/merge-patch+json", confirmation)); err != nil {
		return client.IgnoreNotFound(err)
	}
	return client.IgnoreNotFound(s.admin.Delete(ctx, object))
}

// wait tries done until it returns nil.
func (s *session) wait(ctx context.Context, what string, done func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ticker := time.NewTicker(50 * time.Millisecond); ; {
		err := done()
		if err == nil {
			ticker.Stop()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-ticker.C:
		}
	}
}

// account returns what `. bin/run/env` exports to somebody who has a role in the project and no other. The kubeconfig is
// written into a file of the page's own, which may change it.
func (s *session) account(ctx context.Context, role, kubeconfig string) (map[string]string, error) {
	config, err := clientcmd.LoadFromFile(s.environment["KUBECONFIG"])
	if err != nil {
		return nil, err
	}
	environment := maps.Clone(s.environment)
	environment["KUBECONFIG"] = kubeconfig
	if role != administrator {
		token, err := s.token(ctx, role)
		if err != nil {
			return nil, err
		}
		environment["JACKSTAFF_TOKEN"] = token
		for name := range config.AuthInfos {
			config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
		}
	}
	return environment, clientcmd.WriteToFile(*config, kubeconfig)
}

// rolesOf returns a role and those that Kubernetes aggregates into it. The control plane of make run has no
// controllers, so that aggregated roles have no rules of their own there.
func (s *session) rolesOf(ctx context.Context, role string) ([]string, error) {
	names := []string{role}
	for i := 0; i < len(names); i++ {
		found := &rbacv1.ClusterRole{}
		if err := s.admin.Get(ctx, client.ObjectKey{Name: names[i]}, found); err != nil {
			return nil, fmt.Errorf("the page names a role that is not installed: %w", err)
		}
		if found.AggregationRule == nil {
			continue
		}
		for _, labels := range found.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&labels)
			if err != nil {
				return nil, err
			}
			parts := &rbacv1.ClusterRoleList{}
			if err := s.admin.List(ctx, parts, client.MatchingLabelsSelector{Selector: selector}); err != nil {
				return nil, err
			}
			for j := range parts.Items {
				if name := parts.Items[j].Name; !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names, nil
}

// token returns one of a service account that has a role in the project.
func (s *session) token(ctx context.Context, role string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: people, Name: role}}
	roles, err := s.rolesOf(ctx, role)
	if err != nil {
		return "", err
	}
	objects := []client.Object{account}
	for i, name := range roles {
		objects = append(objects, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: fmt.Sprintf("%s-%s-%d", people, role, i)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: people, Name: role}},
		})
	}
	for _, object := range objects {
		if err := client.IgnoreAlreadyExists(s.admin.Create(ctx, object)); err != nil {
			return "", err
		}
	}
	request := &authenticationv1.TokenRequest{}
	if err := s.admin.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("get a token for %s: %w", role, err)
	}
	return request.Status.Token, nil
}
