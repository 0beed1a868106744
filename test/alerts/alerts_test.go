// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var root = filepath.Join("..", "..")

// series are series in promtool's notation, by name and labels: a value, or one and its growth each minute.
type series map[string]string

const shop = `{project="shop",environment="production"}`

// of is a metric of the environment shop/production, with further labels.
func of(metric, labels string) string {
	return "jackstaff_environment_" + metric + strings.TrimSuffix(shop, "}") + labels + "}"
}

// constant is a value for 75 minutes.
func constant(value string) string { return value + "x75" }

const latency = `controller_runtime_webhook_latency_seconds_bucket{webhook="/mutate-flags-jackstaff-dev"`

// healthy is an operator of two replicas that publishes, and an environment where all is well.
func healthy() series {
	return series{
		`leader_election_master_status{name="jackstaff-manager",pod="a"}`:                   constant("1"),
		`leader_election_master_status{name="jackstaff-manager",pod="b"}`:                   constant("0"),
		`controller_runtime_reconcile_total{controller="flagenvironment",result="success"}`: "0+100x75",
		`controller_runtime_reconcile_errors_total{controller="flagenvironment"}`:           "0+1x75",
		`jackstaff_publishes_total{result="success"}`:                                       "0+10x75",
		`jackstaff_publishes_total{result="failed"}`:                                        "0+1x75",
		`jackstaff_watches_failing{pod="a"}`:                                                constant("0"),
		`jackstaff_admission_requests_total{kind="FeatureFlag",decision="allowed"}`:         "0+100x75",
		`jackstaff_admission_requests_total{kind="FeatureFlag",decision="denied"}`:          "0+100x75",
		`jackstaff_admission_requests_total{kind="FeatureFlag",decision="error"}`:           "0+1x75",
		latency + `,le="1"}`:    "0+100x75",
		latency + `,le="5"}`:    "0+100x75",
		latency + `,le="+Inf"}`: "0+100x75",
		`jackstaff_certificate_expiry_timestamp_seconds{pod="a"}`: constant("7776000"),
		`jackstaff_datafiles_policy_in_force{pod="a"}`:            constant("1"),
		of("published", `,reason="Published"`):                    constant("1"),
		of("compiled", `,reason="Compiled"`):                      constant("1"),
		of("pending_seconds", ""):                                 constant("3600"),
		of("last_good_flags", ""):                                 constant("0"),
		of("sealed", ""):                                          constant("1"),
		of("delivered", ""):                                       constant("1"),
		of("unacknowledged_brakes", ""):                           constant("0"),
		of("instances", `,state="current"`):                       constant("9"),
		of("instances", `,state="laggard"`):                       constant("0"),
		of("datafile_bytes", ""):                                  constant("900000"),
	}
}

// more is what dashboards show and no alert asks for.
func more() series {
	evaluated := `{project="shop",environment="production",feature_flag_key="new",feature_flag_result_variant="on",` +
		`feature_flag_result_reason="split"}`
	unknown := `{project="shop",environment="production",feature_flag_key="unknown",feature_flag_result_variant="",` +
		`feature_flag_result_reason="error"}`
	return series{
		of("revision", ""):                                                     "7+1x75",
		of("flags", ""):                                                        constant("30"),
		of("pending_flags", ""):                                                constant("3"),
		of("delivery_namespaces", `,state="current"`):                          constant("2"),
		`jackstaff_flag_evaluations_total` + evaluated:                         "0+9x75",
		`jackstaff_flag_evaluations_total` + unknown:                           "0+1x75",
		`jackstaff_environments_unreported`:                                    constant("0"),
		`jackstaff_publish_duration_seconds_bucket{le="1"}`:                    "0+5x75",
		`jackstaff_publish_duration_seconds_bucket{le="+Inf"}`:                 "0+6x75",
		`workqueue_depth{name="flagenvironment"}`:                              constant("0"),
		`rest_client_requests_total{code="200",method="GET"}`:                  "0+9x75",
		`jackstaff_api_requests_total{view="none",route="/ofrep/",code="200"}`: "0+9x75",
		`jackstaff_api_request_duration_seconds_bucket{view="none",le="+Inf"}`: "0+9x75",
		`jackstaff_api_request_duration_seconds_bucket{view="none",le="1"}`:    "0+9x75",
		`jackstaff_stream_clients{pod="a"}`:                                    constant("2"),
		`process_resident_memory_bytes{pod="a"}`:                               constant("60000000"),
		`process_resident_memory_bytes{pod="of-another-program"}`:              constant("60000000"),
		`process_cpu_seconds_total{pod="a"}`:                                   "0+1x75",
	}
}

// gone is a series that is not there.
const gone = ""

// faults are what makes each alert fire, as a change of what is healthy.
var faults = map[string]series{
	"JackstaffDown": {
		`leader_election_master_status{name="jackstaff-manager",pod="a"}`: gone,
		`leader_election_master_status{name="jackstaff-manager",pod="b"}`: gone,
	},
	"JackstaffNoLeader": {`leader_election_master_status{name="jackstaff-manager",pod="a"}`: constant("0")},
	"JackstaffReconcileErrors": {
		`controller_runtime_reconcile_errors_total{controller="flagenvironment"}`: "0+50x75",
	},
	"JackstaffPublishesFail": {
		`jackstaff_publishes_total{result="success"}`: constant("10"), `jackstaff_publishes_total{result="failed"}`: "0+1x75",
	},
	"JackstaffWatchFailing": {`jackstaff_watches_failing{pod="a"}`: constant("1")},
	"JackstaffAdmissionErrors": {
		`jackstaff_admission_requests_total{kind="FeatureFlag",decision="error"}`: "0+20x75",
	},
	"JackstaffAdmissionSlow": {
		latency + `,le="1"}`: "0+90x75",
	},
	"JackstaffCertificateEnds": {`jackstaff_certificate_expiry_timestamp_seconds{pod="a"}`: constant("700000")},
	"JackstaffPolicyMissing":   {`jackstaff_datafiles_policy_in_force{pod="a"}`: constant("0")},
	"JackstaffNotPublished": {
		of("published", `,reason="WriteFailed"`): constant("0"),
		of("published", `,reason="Published"`):   gone,
	},
	"JackstaffPendingForLong": {of("pending_seconds", ""): constant("90000")},
	"JackstaffBreakGlass": {
		of("published", `,reason="BreakGlass"`): constant("0"),
		of("published", `,reason="Published"`):  gone,
	},
	"JackstaffFlagsVanished": {
		of("compiled", `,reason="FlagsVanished"`): constant("0"),
		of("compiled", `,reason="Compiled"`):      gone,
	},
	"JackstaffLastGood":             {of("last_good_flags", ""): constant("2")},
	"JackstaffTampered":             {of("sealed", ""): constant("0")},
	"JackstaffBrakeNotAcknowledged": {of("unacknowledged_brakes", ""): constant("1")},
	"JackstaffLaggards":             {of("instances", `,state="laggard"`): constant("1")},
	"JackstaffNotDelivered":         {of("delivered", ""): constant("0")},
	"JackstaffDatafileNearlyFull":   {of("datafile_bytes", ""): constant("1000000")},
}

// noFaults are what nobody is to be woken for.
var noFaults = map[string]series{
	"health": {},
	"a project that has not published yet": {
		of("published", `,reason="AwaitingPublish"`): constant("0"), of("published", `,reason="Published"`): gone,
	},
	"a frozen project": {of("published", `,reason="Suspended"`): constant("1")},
	"nobody writes": {
		`jackstaff_publishes_total{result="success"}`: constant("10"),
		`jackstaff_publishes_total{result="failed"}`:  constant("0"),
	},
	"an operator in some namespaces": {`jackstaff_datafiles_policy_in_force{pod="a"}`: gone},
	"no environment": {
		of("sealed", ""):                       gone,
		of("delivered", ""):                    gone,
		of("published", `,reason="Published"`): gone,
	},
	"laggards for the time of a rollout": {of("instances", `,state="laggard"`): "0x65 3x10"},
	"another leader": {
		`leader_election_master_status{name="jackstaff-manager",pod="a"}`: "1x74 0",
		`leader_election_master_status{name="jackstaff-manager",pod="b"}`: "0x74 1",
	},
}

// test is one unit test of promtool: at the end of 75 minutes, these alerts fire and no other.
func test(change series, fires string) map[string]any {
	all := healthy()
	maps.Copy(all, change)
	input := []map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != gone {
			input = append(input, map[string]string{"series": name, "values": all[name]})
		}
	}
	expected := []map[string]any{}
	if fires != "" {
		expected = append(expected, map[string]any{"labels": `{alertname="` + fires + `"}`, "value": 1})
	}
	return map[string]any{
		"interval": "1m", "name": fires, "input_series": input,
		"promql_expr_test": []map[string]any{{
			"expr": `count by (alertname) (ALERTS{alertstate="firing"})`, "eval_time": "75m", "exp_samples": expected,
		}},
	}
}

// promtool finds promtool or has it installed. It is empty where somebody has said to go without.
func promtool(t *testing.T) string {
	t.Helper()
	script := filepath.Join(root, "hack", "programs", "get.sh")
	said, err := exec.CommandContext(t.Context(), script, "the alerts and dashboards", "promtool").CombinedOutput()
	t.Log(string(said))
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && failed.ExitCode() == 3 {
		return ""
	} else if err != nil {
		t.Fatalf("promtool: %v\n%s", err, said)
	}
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, name string, content any) string {
	t.Helper()
	data, isText := content.([]byte)
	if !isText {
		var err error
		if data, err = json.Marshal(content); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An alert that its fault does not fire is worse than none, and one that fires in health is switched off by whoever is on
// call.
func TestEachAlertFiresByItsFaultAndByNothingElse(t *testing.T) {
	groups, spec, err := Rules(root)
	if err != nil {
		t.Fatal(err)
	}
	var alerts []string
	for _, group := range groups {
		for _, rule := range group.Rules {
			alerts = append(alerts, rule.Alert)
		}
	}
	slices.Sort(alerts)
	if tested := slices.Sorted(maps.Keys(faults)); !slices.Equal(alerts, tested) {
		t.Fatalf("the alerts are\n%v, and there are faults for\n%v", alerts, tested)
	}
	program := promtool(t)
	if program == "" {
		return
	}
	tests := []map[string]any{}
	for _, alert := range alerts {
		tests = append(tests, test(faults[alert], alert))
	}
	for _, name := range slices.Sorted(maps.Keys(noFaults)) {
		quiet := test(noFaults[name], "")
		quiet["name"] = name
		tests = append(tests, quiet)
	}
	rules := write(t, "rules.yaml", spec)
	file := write(t, "tests.yaml", map[string]any{
		"rule_files": []string{rules}, "evaluation_interval": "3m", "tests": tests,
	})
	for _, arguments := range [][]string{{"check", "rules", rules}, {"test", "rules", file}} {
		if said, err := exec.CommandContext(t.Context(), program, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", arguments[:2], err, said)
		}
	}
}

// A panel without data is taken for an operator that does nothing.
func TestEachPanelShowsSeries(t *testing.T) {
	panels, err := Panels(root)
	if err != nil {
		t.Fatal(err)
	}
	chosen := strings.NewReplacer("$project", "shop", "$environment", "production")
	queries := []map[string]any{}
	for _, panel := range panels {
		if len(panel.Queries) == 0 || panel.Title == "" {
			t.Errorf("the panel %q of %s has no query or title", panel.Title, panel.Dashboard)
		}
		for _, query := range panel.Queries {
			queries = append(queries, map[string]any{
				"expr": "count(" + chosen.Replace(query) + ") > bool 0", "eval_time": "75m",
				"exp_samples": []map[string]any{{"labels": "{}", "value": 1}},
			})
		}
	}
	program := promtool(t)
	if program == "" {
		return
	}
	shown := test(more(), "")
	shown["promql_expr_test"], shown["name"] = queries, "panels"
	file := write(t, "tests.yaml", map[string]any{
		"rule_files": []string{}, "evaluation_interval": "3m", "tests": []any{shown},
	})
	if said, err := exec.CommandContext(t.Context(), program, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, said)
	}
}

// Whoever is woken reads what is wrong, where, and what to do, on a page that exists.
func TestEachAlertSaysWhatToDo(t *testing.T) {
	groups, _, err := Rules(root)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, group := range groups {
		for _, rule := range group.Rules {
			if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
				t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
			}
			for _, annotation := range []string{"summary", "description"} {
				if rule.Annotations[annotation] == "" {
					t.Errorf("%s has no %s", rule.Alert, annotation)
				}
				for _, label := range named.FindAllStringSubmatch(rule.Annotations[annotation], -1) {
					if !slices.Contains(Grouped(rule.Expr), label[1]) {
						t.Errorf("the %s of %s names the label %s, which the alert does not have", annotation, rule.Alert, label[1])
					}
				}
			}
			if !hasSection(t, rule.Annotations["runbook_url"]) {
				t.Errorf("the runbook %q of %s is no section of a page", rule.Annotations["runbook_url"], rule.Alert)
			}
			if !strings.Contains(string(page), "| `"+rule.Alert+"` |") {
				t.Errorf("docs/metrics.md does not say what %s means", rule.Alert)
			}
		}
	}
}

// hasSection reports whether a URL is that of a section of a page of docs.
func hasSection(t *testing.T, url string) bool {
	t.Helper()
	path, isOurs := strings.CutPrefix(url, "https://github.com/jackstaff-dev/jackstaff/blob/main/docs/")
	page, anchor, _ := strings.Cut(path, "#")
	text, err := os.ReadFile(filepath.Join(root, "docs", filepath.Base(page)))
	if !isOurs || err != nil {
		return false
	}
	return slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "#") && Anchor(line) == anchor
	})
}

func TestMetrics(t *testing.T) {
	query := `histogram_quantile(0.9, sum by (le, kind) (rate(jackstaff_x_total{decision="error",pod!="a"}[5m]))) / go_y`
	got := Metrics(query)
	if len(got) != 2 || !slices.Equal(got["jackstaff_x_total"], []string{"decision", "kind"}) ||
		!slices.Equal(got["go_y"], []string{"kind"}) {
		t.Errorf("the query names %v", got)
	}
}
