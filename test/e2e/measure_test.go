// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	inProject     = client.InNamespace(project)
	datafileNamed = client.MatchingFields{"metadata.name": "flags-" + environment}
)

// quiet is how long nothing is edited between two edits, so that each is one by itself.
const quiet = time.Second

// distribution holds how long something took after each edit.
type distribution struct {
	how, what string
	took      []time.Duration
}

// percentile is the smallest time that at least so many in a hundred did not exceed.
func (d *distribution) percentile(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(d.took))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// String is a row of a table in Markdown.
func (d *distribution) String() string {
	cells := []string{"", d.how, d.what, strconv.Itoa(len(d.took))}
	for _, took := range []time.Duration{slices.Min(d.took), d.percentile(50), d.percentile(90), d.percentile(99), slices.Max(d.took)} {
		cells = append(cells, strconv.FormatInt(took.Milliseconds(), 10))
	}
	return strings.TrimSpace(strings.Join(append(cells, ""), " | "))
}

// measure edits the flag count times, and says how long after the start of each edit the ConfigMap was published, its
// file was in the pods, and the pods answered by it.
func (s *suite) measure(how string, count int) []*distribution {
	s.Helper()
	if count == 0 {
		return nil
	}
	s.Logf("editing the flag %d times, %s", count, how)
	published := &distribution{how: how, what: "ConfigMap published"}
	all := []*distribution{published}
	for _, workload := range s.workloads {
		all = append(
			all,
			&distribution{how: how, what: "file in the pod " + workload.name},
			&distribution{how: how, what: "answer of " + workload.name},
		)
	}
	arrived := s.followRevisions()
	enabled := true
	for i := range count + count%2 { // An even number, so that the flag is in the end as it was.
		enabled = !enabled
		before := s.servedRevision()
		begin := s.setFlag(enabled)
		var at time.Time
		s.Eventually(func(g Gomega) {
			found, ok := arrived(before + 1)
			g.Expect(ok).To(BeTrue(), "revision %d is not published", before+1)
			at = found
		}).WithPolling(5 * time.Millisecond).Should(Succeed())
		published.took = append(published.took, at.Sub(begin))
		for j, workload := range s.workloads {
			file := workload.waitFor(begin, func(line line) bool { return line.Event == "file" && line.Revision == before+1 })
			answer := workload.waitFor(
				begin,
				func(line line) bool { return line.Event == "answer" && line.Error == "" && line.Value == enabled },
			)
			all[1+2*j].took = append(all[1+2*j].took, file.Sub(begin))
			all[2+2*j].took = append(all[2+2*j].took, answer.Sub(begin))
		}
		if i == 0 || (i+1)%10 == 0 {
			s.Logf(
				"edit %d: published after %s, answered after %s",
				i+1,
				published.took[i].Round(time.Millisecond),
				all[2].took[i].Round(time.Millisecond),
			)
		}
		// A pause, not a wait for anything.
		<-time.After(quiet)
	}
	return all
}
