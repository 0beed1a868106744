// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

func TestFlagEnvironment(t *testing.T) {
	const nameForm = "must be a DNS label of at most 63 characters that does not end in -r and digits, because the history's datafiles are named so"
	const fileForm = "must begin with flags- and have a dot, such as flags-shop.web, so that no other environment can need the name"
	named := func(name, file string) *builders.EnvironmentBuilder {
		return builders.MakeEnvironment(name, "shop").Spec(func(s *v1alpha1.FlagEnvironmentSpec) { s.Datafile.Name = file })
	}
	for tc, test := range map[string]struct {
		environment *builders.EnvironmentBuilder
		want        []string
	}{
		"nothing but a name":      {builders.MakeEnvironment("production", "shop"), nil},
		"defaults":                {builders.MakeEnvironment("production", "shop").Defaulted(), nil},
		"a name of the history":   {builders.MakeEnvironment("production-r12", "shop"), []string{`metadata.name: Invalid value: "production-r12": ` + nameForm}},
		"a name with a dot":       {builders.MakeEnvironment("eu.production", "shop"), []string{`metadata.name: Invalid value: "eu.production": ` + nameForm + `; write name: eu-production`}},
		"a name with capitals":    {builders.MakeEnvironment("EUProduction", "shop"), []string{`metadata.name: Invalid value: "EUProduction": ` + nameForm + `; write name: euproduction`}},
		"its own default file":    {named("production", "flags-production"), nil},
		"a file with a dot":       {named("production", "flags-shop.web"), nil},
		"another's default file":  {named("production", "flags-staging"), []string{`spec.datafile.name: Invalid value: "flags-staging": ` + fileForm}},
		"another's history file":  {named("production", "flags-staging-r1"), []string{`spec.datafile.name: Invalid value: "flags-staging-r1": ` + fileForm}},
		"a file of somebody else": {named("production", "kube-root-ca.crt"), []string{`spec.datafile.name: Invalid value: "kube-root-ca.crt": ` + fileForm}},
		"a file name of 254 characters": {named("production", "flags-a."+strings.Repeat("b", 246)),
			[]string{`spec.datafile.name: Too long: may not be more than 253 bytes`}},
		"a pin anew over no revision": {
			builders.MakeEnvironment("production", "shop").Annotation(v1alpha1.PinAgainAnnotation, "latest"),
			[]string{`metadata.annotations[flags.jackstaff.dev/pin-again]: Invalid value: "latest": must be the number of the ` +
				`revision that is served, in digits alone`},
		},
		"everything out of bounds": {
			builders.MakeEnvironment("production", "shop").Annotation(v1alpha1.PublishRequestedAtAnnotation, "now").
				Annotation(v1alpha1.RotateKeysRequestedAtAnnotation, "soon").Annotation(v1alpha1.RevokeKeysBeforeAnnotation, "all").Spec(func(s *v1alpha1.FlagEnvironmentSpec) {
				s.DisplayName, s.Order = strings.Repeat("d", 257), 10001
				s.Publish = v1alpha1.Publish{Mode: "Auto", Revision: new(int64(0)), RevisionHistoryLimit: new(int32(0))}
				s.Datafile.Formats = []v1alpha1.DatafileFormat{"Native", "Native", "Yaml"}
				s.Datafile.Compression, s.Datafile.ClientMembers, s.DeletionPolicy = "Zip", "Maybe", "Orphan"
				s.Delivery.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Is"}}}
			}),
			[]string{
				`metadata.annotations[flags.jackstaff.dev/publish-requested-at]: Invalid value: "now": must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`,
				`metadata.annotations[flags.jackstaff.dev/revoke-keys-before]: Invalid value: "all": must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`,
				`metadata.annotations[flags.jackstaff.dev/rotate-keys-requested-at]: Invalid value: "soon": must be an RFC 3339 time, such as 2027-03-15T09:00:00Z`,
				`spec.displayName: Too long: may not be more than 256 characters`,
				`spec.order: Invalid value: 10001: must be between 0 and 10000`,
				`spec.publish.mode: Unsupported value: "Auto": supported values: "Automatic", "Manual", "None"`,
				`spec.publish.revision: Invalid value: 0: must be between 1 and 9223372036854775807`,
				`spec.publish.revisionHistoryLimit: Invalid value: 0: must be between 1 and 100`,
				`spec.datafile.formats: Too many: 3: must have at most 2 items`,
				`spec.datafile.formats[1]: Duplicate value: "Native"`,
				`spec.datafile.formats[2]: Unsupported value: "Yaml": supported values: "Native", "Flagd"`,
				`spec.datafile.compression: Unsupported value: "Zip": supported values: "Auto", "Always", "Never"`,
				`spec.datafile.clientMembers: Unsupported value: "Maybe": supported values: "Deny", "Allow"`,
				`spec.delivery.namespaceSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator`,
				`spec.deletionPolicy: Unsupported value: "Orphan": supported values: "Retain", "Delete"`,
			},
		},
	} {
		t.Run(tc, func(t *testing.T) {
			if diff := cmp.Diff(test.want, messages(validation.FlagEnvironment(test.environment.Obj()))); diff != "" {
				t.Errorf("a user reads other messages (-want +got):\n%s", diff)
			}
			if got := validation.FlagEnvironmentUpdate(test.environment.Obj(), test.environment.Obj()); got != nil {
				t.Errorf("a stored environment cannot be labelled any more: %v", got)
			}
		})
	}
}

func TestNewRevision(t *testing.T) {
	pinned := func(revision int64) *v1alpha1.FlagEnvironment {
		return builders.MakeEnvironment(
			"production",
			"shop",
		).Spec(
			func(s *v1alpha1.FlagEnvironmentSpec) { s.Publish.Revision = &revision },
		).Obj()
	}
	free := builders.MakeEnvironment("production", "shop").Obj()
	for tc, test := range map[string]struct {
		old, environment *v1alpha1.FlagEnvironment
		want             int64
	}{
		"created free":     {nil, free, 0},
		"created pinned":   {nil, pinned(3), 3},
		"pinned":           {free, pinned(3), 3},
		"pinned otherwise": {pinned(2), pinned(3), 3},
		"stays pinned":     {pinned(3), pinned(3), 0},
		"released":         {pinned(3), free, 0},
	} {
		t.Run(tc, func(t *testing.T) {
			if got := validation.NewRevision(test.old, test.environment); got != test.want {
				t.Errorf("the history is asked for revision %d, want %d", got, test.want)
			}
		})
	}
	if got, want := validation.RevisionNotHeld(
		3,
	).Error(), `spec.publish.revision: Invalid value: 3: the history does not hold this revision`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlagAudience(t *testing.T) {
	for tc, test := range map[string]struct {
		audience *builders.AudienceBuilder
		want     []string
	}{
		"nobody": {builders.MakeAudience("beta.testers", "shop"), nil},
		"members that are empty and too long": {
			builders.MakeAudience("x", "shop").Members("alice", "", strings.Repeat("é", 129), "alice"),
			[]string{`spec.members[1]: Required value: a targeting key is not empty`, `spec.members[2]: Too long: may not be more than 256 bytes`},
		},
		"too many members": {builders.MakeAudience("x", "shop").Members(many(20001, "m%d")...), []string{`spec.members: Too many: 20001: must have at most 20000 items`}},
		"a group of no conditions": {
			builders.MakeAudience("x", "shop").Group(builders.MakeCondition("a", v1alpha1.OperatorIn, "b")).Group(),
			[]string{`spec.matchAny[1].conditions: Required value: a group has at least one condition`},
		},
		"a spec over 768 KiB": {
			builders.MakeAudience("x", "shop").Members(many(20000, strings.Repeat("m", 40)+"%d")...),
			[]string{`spec: Invalid value: has 948903 bytes as JSON; the limit is 786432`},
		},
	} {
		t.Run(tc, func(t *testing.T) {
			if diff := cmp.Diff(test.want, messages(validation.FlagAudience(test.audience.Obj()))); diff != "" {
				t.Errorf("a user reads other messages (-want +got):\n%s", diff)
			}
			if got := messages(
				validation.FlagAudienceUpdate(builders.MakeAudience("x", "shop").Members("before").Obj(), test.audience.Obj()),
			); len(
				got,
			) != len(
				test.want,
			) {
				t.Errorf("an update to it has the mistakes %q, want %q", got, test.want)
			}
		})
	}
}

func TestFlagEvent(t *testing.T) {
	event := builders.MakeEvent("purchase", "shop").Key("shop/purchase").Numeric("EUR")
	if got := validation.FlagEvent(event.Obj()); got != nil {
		t.Errorf("a good event is refused: %v", got)
	}
	bad := builders.MakeEvent("purchase", "shop").Key("a b").Numeric(strings.Repeat("€", 33)).Obj()
	bad.Spec.Type = "Count"
	want := []string{
		`spec.key: Invalid value: "a b": must begin with a letter or digit and go on with letters, digits and . _ / -, at most 128 characters`,
		`spec.type: Unsupported value: "Count": supported values: "Conversion", "Numeric"`,
		`spec.unit: Too long: may not be more than 32 characters`,
	}
	if diff := cmp.Diff(want, messages(validation.FlagEvent(bad))); diff != "" {
		t.Errorf("a user reads other messages (-want +got):\n%s", diff)
	}
	want = []string{
		`spec.key: Invalid value: "buy": is immutable; it was "purchase"`,
		`spec.type: Invalid value: "Numeric": is immutable; it was "Conversion"`,
	}
	got := validation.FlagEventUpdate(
		builders.MakeEvent("purchase", "shop").Obj(),
		builders.MakeEvent("purchase", "shop").Key("buy").Numeric("").Obj(),
	)
	if diff := cmp.Diff(want, messages(got)); diff != "" {
		t.Errorf("a user reads other messages (-want +got):\n%s", diff)
	}
}

func TestFeatureFlagDelete(t *testing.T) {
	const refused = `metadata.annotations[flags.jackstaff.dev/confirm-delete]: Required value: the flag has been enabled, and code may ask for it; archive it first (spec.archived: true), or confirm the deletion by setting this annotation to "x"`
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	enabled := func() *builders.FlagBuilder { return boolean().Environment("production").Created(old, "1") }
	withStatus := func(status v1alpha1.FeatureFlagStatus) *v1alpha1.FeatureFlag {
		flag := boolean().Obj()
		flag.Status = status
		return flag
	}
	other := func() *builders.FlagBuilder {
		return builders.MakeFlag("y", "shop").Key("x").Boolean().Created(old.Add(time.Hour), "2")
	}
	goingAway := other().Obj()
	goingAway.DeletionTimestamp = new(metav1.NewTime(old))
	for tc, test := range map[string]struct {
		flag   *v1alpha1.FeatureFlag
		others []*v1alpha1.FeatureFlag
		denied bool
	}{
		"a draft":                                  {flag: boolean().Environment("production").Disabled().Obj()},
		"enabled, before any status":               {flag: enabled().Obj(), denied: true},
		"enabled in the past":                      {flag: withStatus(v1alpha1.FeatureFlagStatus{FirstEnabledTime: new(metav1.NewTime(old))}), denied: true},
		"inactive":                                 {flag: withStatus(v1alpha1.FeatureFlagStatus{Phase: v1alpha1.PhaseInactive}), denied: true},
		"archived":                                 {flag: enabled().Archived().Obj()},
		"confirmed":                                {flag: enabled().Annotation(v1alpha1.ConfirmDeleteAnnotation, "x").Obj()},
		"confirmed for another":                    {flag: enabled().Annotation(v1alpha1.ConfirmDeleteAnnotation, "y").Obj(), denied: true},
		"another takes the key over":               {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{other().Obj()}},
		"an archived one would take it over":       {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{other().Archived().Obj()}, denied: true},
		"an archived one holds it already":         {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{other().Archived().Created(old.Add(-time.Hour), "0").Obj()}},
		"the other goes too":                       {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{goingAway}, denied: true},
		"the other has another key":                {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{other().Key("z").Obj()}, denied: true},
		"the other is the flag itself, read again": {flag: enabled().Obj(), others: []*v1alpha1.FeatureFlag{enabled().Obj()}, denied: true},
	} {
		t.Run(tc, func(t *testing.T) {
			var want []string
			if test.denied {
				want = []string{refused}
			}
			if diff := cmp.Diff(want, messages(validation.FeatureFlagDelete(test.flag, test.others))); diff != "" {
				t.Errorf("deleting the flag (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	production := builders.MakeEnvironment("production", "shop").Production()
	event := builders.MakeEvent("purchase", "shop").Obj()
	second := builders.MakeEvent("buy", "shop").Key("purchase").Obj()
	leaving := second.DeepCopy()
	leaving.DeletionTimestamp = new(metav1.Now())
	for tc, test := range map[string]struct{ got, want []string }{
		"an environment": {messages(validation.FlagEnvironmentDelete(builders.MakeEnvironment("dev", "shop").Obj())), nil},
		"production": {messages(validation.FlagEnvironmentDelete(production.Obj())), []string{
			`metadata.annotations[flags.jackstaff.dev/confirm-delete]: Required value: this is a production environment; set spec.production to false first, or confirm the deletion by setting this annotation to "production"`,
		}},
		"production, confirmed": {messages(validation.FlagEnvironmentDelete(production.Annotation(v1alpha1.ConfirmDeleteAnnotation, "production").Obj())), nil},
		"an unused audience":    {messages(validation.FlagAudienceDelete(builders.MakeAudience("beta", "shop").Obj(), nil)), nil},
		"a used audience": {messages(validation.FlagAudienceDelete(builders.MakeAudience("beta", "shop").Obj(), many(7, "flag-%d"))), []string{
			`metadata.name: Invalid value: "beta": is still named by unarchived flags: "flag-0", "flag-1", "flag-2", "flag-3", "flag-4" and 2 more; change or archive them first`,
		}},
		"a measured event": {messages(validation.FlagEventDelete(event, []*v1alpha1.FlagEvent{event, leaving}, []string{"x"})), []string{
			`metadata.name: Invalid value: "purchase": is still measured by unarchived flags: "x"; change or archive them first`,
		}},
		"a measured event with a second of its key": {messages(validation.FlagEventDelete(event, []*v1alpha1.FlagEvent{event, second}, []string{"x"})), nil},
	} {
		t.Run(tc, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Errorf("a user reads other messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUse(t *testing.T) {
	flag := boolean().Environment(
		"dev",
	).Environment(
		"production",
	).Rule(
		builders.MakeRule("r").Disabled().ABTest("purchase").Audiences("beta").Serve("on"),
	)
	leaving := flag.Obj()
	leaving.DeletionTimestamp = new(metav1.Now())
	for tc, test := range map[string]struct {
		flag *v1alpha1.FeatureFlag
		want bool
	}{
		"a flag":              {flag.Obj(), true},
		"one that is leaving": {leaving, false},
		"an archived one":     {flag.Archived().Obj(), false},
	} {
		t.Run(tc, func(t *testing.T) {
			if got := validation.NamesAudience(test.flag, "beta"); got != test.want {
				t.Errorf("it keeps the audience: %t, want %t", got, test.want)
			}
			if got := validation.MeasuresEvent(test.flag, "purchase"); got != test.want {
				t.Errorf("it keeps the event: %t, want %t", got, test.want)
			}
			if validation.NamesAudience(test.flag, "purchase") || validation.MeasuresEvent(test.flag, "beta") {
				t.Error("it keeps what it does not name")
			}
		})
	}
}

// Who names an environment like production and forgets the mark leaves production open to every editor.
func TestFlagEnvironmentFindings(t *testing.T) {
	for name, warns := range map[string]bool{
		"prod": true, "production": true, "live": true, "eu-prod": true, "production-eu": true,
		"staging": false, "product": false, "pre-prod": false, "preprod": false, "non-production": false, "delivery": false,
	} {
		environment := builders.MakeEnvironment(name, "shop").Obj()
		found := validation.FlagEnvironmentFindings(environment, "")
		if got := len(found) == 1 &&
			found[0].Kind == validation.NamedLikeProduction; got != warns ||
			!warns && len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
		environment.Spec.Production = true
		if found := validation.FlagEnvironmentFindings(environment, ""); len(found) > 0 {
			t.Errorf("%s with production: true: %v", name, found)
		}
	}
}
