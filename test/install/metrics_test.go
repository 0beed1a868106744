// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/test/alerts"
)

// family is a metric as it is served or documented.
type family struct {
	kind   string
	labels []string
}

var (
	typeLine   = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`(?m)^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"`)
	metricRow  = regexp.MustCompile("(?m)^\\| `(jackstaff_\\w+)` \\| (\\w+) \\| ([^|]*) \\|")
	quotedName = regexp.MustCompile("`(\\w+)`")
)

// scrape asks for metrics as Prometheus does by the shipped ServiceMonitor, which verifies whom it asks.
func (c *controlPlane) scrape(address, token string) string {
	GinkgoHelper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "config", "prometheus", "service_monitor.yaml"))
	Expect(err).NotTo(HaveOccurred())
	objects := decode(manifest)
	at := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "ServiceMonitor" })
	endpoints, _, err := unstructured.NestedSlice(objects[at].Object, "spec", "endpoints")
	Expect(err).NotTo(HaveOccurred())
	config, _, err := unstructured.NestedMap(endpoints[0].(map[string]any), "tlsConfig")
	Expect(err).NotTo(HaveOccurred())
	serverName, _, err := unstructured.NestedString(config, "serverName")
	Expect(err).NotTo(HaveOccurred())
	authority, _, err := unstructured.NestedStringMap(config, "ca", "secret")
	Expect(err).NotTo(HaveOccurred())

	secret, roots := &corev1.Secret{}, x509.NewCertPool()
	key := client.ObjectKey{Namespace: objects[at].GetNamespace(), Name: authority["name"]}
	Expect(c.admin.Get(context.Background(), key, secret)).To(Succeed())
	Expect(roots.AppendCertsFromPEM(secret.Data[authority["key"]])).To(BeTrue())
	status, scrape, err := callBy(&tls.Config{RootCAs: roots, ServerName: serverName}, http.MethodGet, address, token, "")
	Expect(err).NotTo(HaveOccurred())
	Expect(status).To(Equal(http.StatusOK))
	return scrape
}

// familiesOf reads what a manager serves. Those without series have no labels.
func familiesOf(scrape string) map[string]*family {
	families := map[string]*family{}
	for _, found := range typeLine.FindAllStringSubmatch(scrape, -1) {
		families[found[1]] = &family{kind: found[2]}
	}
	for _, found := range sampleLine.FindAllStringSubmatch(scrape, -1) {
		name := found[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); families[name] == nil && families[base] != nil {
				name = base
			}
		}
		if families[name] == nil {
			continue
		}
		for _, label := range labelName.FindAllStringSubmatch(found[2], -1) {
			if label[1] != "le" && !slices.Contains(families[name].labels, label[1]) {
				families[name].labels = append(families[name].labels, label[1])
			}
		}
	}
	return families
}

// documented reads docs/metrics.md.
func documented() map[string]*family {
	GinkgoHelper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	Expect(err).NotTo(HaveOccurred())
	families := map[string]*family{}
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		families[row[1]] = &family{kind: row[2]}
		for _, label := range quotedName.FindAllStringSubmatch(row[3], -1) {
			families[row[1]].labels = append(families[row[1]].labels, label[1])
		}
	}
	return families
}

// notAlways are the metrics that are served only after somebody has evaluated or sent something, and where the operator
// may read policies.
var notAlways = []string{
	"jackstaff_flag_evaluations_total", "jackstaff_captured_events_total", "jackstaff_datafiles_policy_in_force",
}

// expectDocumented compares the page on metrics with what a manager serves that has published an environment: whoever
// writes an alert of his own reads nothing else.
func expectDocumented(scrape string) {
	GinkgoHelper()
	served, page := familiesOf(scrape), documented()
	for name, family := range served {
		if !strings.HasPrefix(name, "jackstaff_") {
			continue
		}
		Expect(page).To(HaveKey(name), "docs/metrics.md")
		Expect(page[name].kind).To(Equal(family.kind), name)
		Expect(page[name].labels).To(ConsistOf(family.labels), name)
	}
	expectNamed(served, page)
	for name := range page {
		if !slices.Contains(notAlways, name) {
			Expect(served).To(HaveKey(name), "a metric of docs/metrics.md")
		}
	}
}

// expectNamed holds the alerts and panels to what is served: one that names a metric or a label that is not there says
// nothing, for ever.
func expectNamed(served, page map[string]*family) {
	GinkgoHelper()
	root := filepath.Join("..", "..")
	groups, _, err := alerts.Rules(root)
	Expect(err).NotTo(HaveOccurred())
	queries := map[string][]string{}
	for _, group := range groups {
		for _, rule := range group.Rules {
			queries[rule.Alert] = []string{rule.Expr}
		}
	}
	panels, err := alerts.Panels(root)
	Expect(err).NotTo(HaveOccurred())
	for _, panel := range panels {
		queries[panel.Dashboard+": "+panel.Title] = panel.Queries
	}
	for of, exprs := range queries {
		for _, expr := range exprs {
			metrics := alerts.Metrics(expr)
			Expect(metrics).NotTo(BeEmpty(), of)
			for name, labels := range metrics {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base := strings.TrimSuffix(name, suffix); served[name] == nil && served[base] != nil {
						name = base
					}
				}
				known := served[name]
				if slices.Contains(notAlways, name) {
					known = page[name]
				}
				Expect(known).NotTo(BeNil(), "the metric %s of %s", name, of)
				for _, label := range labels {
					Expect(known.labels).To(ContainElement(label), "a label of %s in %s", name, of)
				}
			}
		}
	}
}
