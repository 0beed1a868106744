// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command publishing measures how long an edit of one flag takes to be served, next to the two bare ConfigMap writes of
// which a publish consists, on a control plane of its own. Everything is measured in one run and compared as a ratio,
// because machines differ and are noisy. KUBEBUILDER_ASSETS names the directory of etcd and kube-apiserver.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/test/bench/durations"
)

const (
	environmentName = "production"
	// quiet is longer than an environment gathers changes, so that every edit is measured by itself.
	quiet = 600 * time.Millisecond
	// burst is the number of edits that must make few revisions.
	burst = 1000
)

func main() {
	ctrl.SetLogger(logr.Discard())
	sizes := flag.String("flags", "100,1000,10000", "how many flags the environment has, one run each")
	edits := flag.Int("edits", 60, "how many edits are measured in each run")
	flag.Parse()
	if err := run(context.Background(), strings.Split(*sizes, ","), *edits); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes []string, edits int) error {
	fmt.Printf("%s/%s, %d processors, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		table,
		"flags\tbytes\tedit p50\ttwo writes p50\tratio\tedit p99\ttwo writes "+
			"p99\tratio\twrites/edit\tcompile\tallocations\trevisions of 1000 edits\t",
	)
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return fmt.Errorf("-flags: %w", err)
		}
		result, err := measure(ctx, n, edits)
		if err != nil {
			return fmt.Errorf("%d flags: %w", n, err)
		}
		result.print(table)
	}
	return table.Flush()
}

// result is what was measured with one number of flags.
type result struct {
	flags, bytes  int
	edits, bare   []time.Duration
	writesPerEdit float64
	compile       testing.BenchmarkResult
	revisions     int64
}

func (r *result) print(table *tabwriter.Writer) {
	cells := []string{strconv.Itoa(r.flags), strconv.Itoa(r.bytes)}
	for _, percent := range []int{50, 99} {
		edit, bare := durations.Percentile(r.edits, percent), durations.Percentile(r.bare, percent)
		cells = append(
			cells,
			durations.Rounded(edit),
			durations.Rounded(bare),
			fmt.Sprintf("%.2f", float64(edit)/float64(bare)),
		)
	}
	cells = append(cells, fmt.Sprintf("%.1f", r.writesPerEdit), durations.Rounded(time.Duration(r.compile.NsPerOp())),
		strconv.FormatInt(r.compile.AllocsPerOp(), 10), strconv.FormatInt(r.revisions, 10))
	fmt.Fprintln(table, strings.Join(cells, "\t")+"\t")
}

// bench is a running operator and what looks at it.
type bench struct {
	client client.WithWatch
	// writes counts the operator's own writes.
	writes atomic.Int64
	// events are all events of ConfigMaps since the start. It has room for all, so that the API server never waits for the
	// bench.
	events chan watch.Event
}

func measure(ctx context.Context, n, edits int) (*result, error) {
	controlPlane := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	server, err := controlPlane.Start()
	if err != nil {
		return nil, err
	}
	defer func() { _ = controlPlane.Stop() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server.QPS = -1
	scheme := k8sruntime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	b := &bench{}
	if b.client, err = client.NewWithWatch(server, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	flags := makeFlags(n)
	if err := b.load(ctx, flags); err != nil {
		return nil, err
	}
	if err := b.follow(ctx); err != nil {
		return nil, err
	}
	if err := b.start(ctx, server, scheme); err != nil {
		return nil, err
	}
	if err := b.client.Create(ctx, builders.MakeEnvironment(environmentName, "default").Obj()); err != nil {
		return nil, err
	}
	served, err := b.await("flags-"+environmentName, func(*corev1.ConfigMap) bool { return true })
	if err != nil {
		return nil, err
	}
	b.settle()
	r := &result{flags: n, bytes: bytesOf(served)}
	if err := b.measureEdits(ctx, r, edits, flags); err != nil {
		return nil, err
	}
	if err := b.measureBurst(ctx, r, flags); err != nil {
		return nil, err
	}
	r.compile = testing.Benchmark(func(t *testing.B) { benchmarkCompile(t, flags) })
	return r, nil
}

// makeFlags returns flags of the kinds that a project has: static ones, some with a rule or a split, some switched off.
// A hundred of them make a datafile of 50 KiB.
func makeFlags(n int) []*v1alpha1.FeatureFlag {
	flags := make([]*v1alpha1.FeatureFlag, n)
	for i := range flags {
		flag := builders.MakeFlag(fmt.Sprintf("flag-%05d", i), "default").Boolean().Environment(environmentName).
			Spec(func(spec *v1alpha1.FeatureFlagSpec) {
				spec.Metadata = map[string]string{"jira": fmt.Sprintf("SHOP-%05d", i), "team": "checkout"}
			})
		switch i % 4 {
		case 1:
			flag.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "beta", "enterprise").Serve("on"))
		case 2:
			flag.Rule(builders.MakeRule("half").Split("on", 50).Split("off", 50))
		case 3:
			flag.Disabled()
		}
		flags[i] = flag.Defaulted().Obj()
	}
	return flags
}

func (b *bench) load(ctx context.Context, flags []*v1alpha1.FeatureFlag) error {
	return inParallel(len(flags), func(i int) error { return b.client.Create(ctx, flags[i].DeepCopy()) })
}

func inParallel(n int, do func(i int) error) error {
	const workers = 8
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failures[worker] == nil; i = int(next.Add(1)) - 1 {
				failures[worker] = do(i)
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// counter counts what is written through it.
type counter struct {
	http.RoundTripper

	writes *atomic.Int64
}

func (c counter) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		c.writes.Add(1)
	}
	return c.RoundTripper.RoundTrip(request)
}

func (b *bench) start(ctx context.Context, server *rest.Config, scheme *k8sruntime.Scheme) error {
	server = rest.CopyConfig(server)
	server.Wrap(func(inner http.RoundTripper) http.RoundTripper { return counter{inner, &b.writes} })
	mgr, err := ctrl.NewManager(server, ctrl.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(),
		Client:  controllers.ClientOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
		// One process runs several managers, one after the other.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return err
	}
	if err := index.Setup(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := controllers.Setup(mgr, controllers.Options{}); err != nil {
		return err
	}
	go func() {
		if err := mgr.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: the operator stopped:", err)
		}
	}()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the caches do not sync")
	}
	return nil
}

// follow begins to receive events.
func (b *bench) follow(ctx context.Context) error {
	watcher, err := b.client.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace("default"))
	if err != nil {
		return err
	}
	b.events = make(chan watch.Event, 100_000)
	go func() {
		for event := range watcher.ResultChan() {
			b.events <- event
		}
		close(b.events)
	}()
	return nil
}

// settle waits until the operator has written all statuses.
func (b *bench) settle() {
	for before := int64(-1); before != b.writes.Load(); {
		before = b.writes.Load()
		time.Sleep(4 * quiet)
	}
}

// await waits for the event of a ConfigMap that is as it should be.
func (b *bench) await(name string, wanted func(*corev1.ConfigMap) bool) (*corev1.ConfigMap, error) {
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case <-deadline:
			return nil, fmt.Errorf("no event of ConfigMap %q in time", name)
		case event, ok := <-b.events:
			if !ok {
				return nil, errors.New("the watch ended")
			}
			if configMap, ok := event.Object.(*corev1.ConfigMap); ok && configMap.Name == name && wanted(configMap) {
				return configMap, nil
			}
		}
	}
}

func revisionOf(configMap *corev1.ConfigMap) int64 {
	revision, _ := strconv.ParseInt(configMap.Annotations[v1alpha1.RevisionAnnotation], 10, 64)
	return revision
}

func bytesOf(configMap *corev1.ConfigMap) int {
	total := 0
	for _, value := range configMap.Data {
		total += len(value)
	}
	for _, value := range configMap.BinaryData {
		total += len(value)
	}
	return total
}
