// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// skew is how far the clocks of the nodes may be from this machine's, the way of a line through the API server
// included.
const skew = 2 * time.Second

// line is what a workload prints.
type line struct {
	At       time.Time `json:"at"`
	Event    string    `json:"event"`
	Revision int64     `json:"revision"`
	Value    bool      `json:"value"`
	Error    string    `json:"error"`
}

// workload is a pod that runs test/e2e/workload.
type workload struct {
	*suite
	name string
	pod  *corev1.Pod

	mu    sync.Mutex
	lines []line
	// skewed is what is wrong with the clocks, and empty where nothing is.
	skewed string
}

// startWorkloads starts one of each provider in the project, and one in the namespace that has a copy.
func (s *suite) startWorkloads() {
	s.Helper()
	s.Log("starting workloads")
	s.workloads = []*workload{
		s.startWorkload("jackstaff", project, "jackstaff"),
		s.startWorkload("flagd", project, "flagd"),
		s.startWorkload("copy", otherNamespace, "flagd"),
	}
	s.allAnswer(true)
}

func (s *suite) startWorkload(name, namespace, provider string) *workload {
	s.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			HostNetwork:                  s.hostNetwork,
			AutomountServiceAccountToken: new(false),
			Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: new(true)},
			Containers: []corev1.Container{{
				Name: "workload", Image: "jackstaff/workload:e2e", ImagePullPolicy: corev1.PullNever,
				Args:         []string{"-provider=" + provider, "-ask=" + flagName},
				VolumeMounts: []corev1.VolumeMount{{Name: "flags", MountPath: "/etc/flags", ReadOnly: true}},
			}},
			Volumes: []corev1.Volume{{Name: "flags", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "flags-" + environment},
			}}}},
		},
	}
	s.Expect(s.client.Create(s.Context(), pod)).To(Succeed())
	s.run("-n " + namespace + " wait pod/" + name + " --for=condition=Ready --timeout=120s")
	w := &workload{suite: s, name: name, pod: pod}
	w.follow()
	return w
}

// follow reads what the workload prints for as long as the test runs.
func (w *workload) follow() {
	w.Helper()
	stream, err := w.pods.CoreV1().Pods(
		w.pod.Namespace,
	).GetLogs(
		w.pod.Name,
		&corev1.PodLogOptions{Follow: true},
	).Stream(
		w.Context(),
	)
	w.Expect(err).NotTo(HaveOccurred())
	began := time.Now()
	go func() {
		defer func() { _ = stream.Close() }()
		scanner := bufio.NewScanner(stream)
		for scanner.Scan() {
			said, now := line{}, time.Now()
			if json.Unmarshal(scanner.Bytes(), &said) != nil || said.Event == "" {
				continue // The flagd provider logs as well.
			}
			w.mu.Lock()
			w.lines = append(w.lines, said)
			if late := now.Sub(said.At); said.At.After(began) && (late < 0 || late > skew) {
				w.skewed = fmt.Sprintf("a line of %s arrived %s after it was printed", w.pod.Name, late)
			}
			w.mu.Unlock()
		}
	}()
}

// waitFor waits for a line that was printed after a time, and returns when that was.
func (w *workload) waitFor(after time.Time, is func(line) bool) time.Time {
	w.Helper()
	var at time.Time
	w.Eventually(func(g Gomega) {
		w.mu.Lock()
		defer w.mu.Unlock()
		g.Expect(w.skewed).To(BeEmpty(), "the clocks of the node and of this machine must agree")
		for _, said := range w.lines {
			if said.At.After(after) && is(said) {
				at = said.At
				return
			}
		}
		g.Expect(at).NotTo(BeZero(), "workload %s has not printed it; its last line is %+v", w.name, w.last(""))
	}).WithTimeout(kubeletPatience).WithPolling(5 * time.Millisecond).Should(Succeed())
	return at
}

// last is the last line of an event, or of any where that is empty.
func (w *workload) last(event string) line {
	for _, last := range slices.Backward(w.lines) {
		if event == "" || last.Event == event {
			return last
		}
	}
	return line{}
}

// answers waits until the workload answers so, without an error.
func (w *workload) answers(value bool) {
	w.Helper()
	w.Eventually(func(g Gomega) {
		w.mu.Lock()
		defer w.mu.Unlock()
		answer := w.last("answer")
		g.Expect(answer.Event).NotTo(BeEmpty(), "workload %s has not answered", w.name)
		g.Expect(answer.Error).To(BeEmpty())
		g.Expect(answer.Value).To(Equal(value), "workload %s", w.name)
	}).WithTimeout(kubeletPatience).Should(Succeed())
}

// hasFile waits until kubelet has written a revision.
func (w *workload) hasFile(revision int64) {
	w.Helper()
	w.waitFor(time.Time{}, func(line line) bool { return line.Event == "file" && line.Revision == revision })
}

// followRevisions returns when each revision of a ConfigMap arrived here, as the API server tells it.
func (s *suite) followRevisions() func(revision int64) (time.Time, bool) {
	s.Helper()
	list := &corev1.ConfigMapList{}
	watcher, err := s.client.Watch(s.Context(), list, inProject, datafileNamed)
	s.Expect(err).NotTo(HaveOccurred())
	var mu sync.Mutex
	arrived := map[int64]time.Time{}
	go func() {
		for event := range watcher.ResultChan() {
			if configMap, ok := event.Object.(*corev1.ConfigMap); ok &&
				configMap.Annotations[v1alpha1.RevisionAnnotation] != "" {
				mu.Lock()
				if revision := revisionOf(configMap); arrived[revision].IsZero() {
					arrived[revision] = time.Now()
				}
				mu.Unlock()
			}
		}
	}()
	s.Cleanup(watcher.Stop)
	return func(revision int64) (time.Time, bool) {
		mu.Lock()
		defer mu.Unlock()
		at, ok := arrived[revision]
		return at, ok
	}
}
