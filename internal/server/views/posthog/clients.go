// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func (v *view) registerClients(shell *server.View) {
	const define = "Definitions of flags, for clients that evaluate"
	server.Register(
		shell,
		server.LimitsItself(server.Public(operation("definitions", http.MethodGet, "/flags/definitions", define))),
		v.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(operation("old-local-evaluation", http.MethodGet, "/api/feature_flag/local_evaluation", define)),
		),
		v.definitions,
	)
	server.Register(
		shell,
		server.LimitsItself(
			server.Public(operation("local-evaluation", http.MethodGet, flagsPath+"/local_evaluation", define)),
		),
		v.localEvaluation,
	)
	for id, path := range map[string]string{"evaluate": "/flags", "decide": "/decide"} {
		server.Register(
			shell,
			server.LimitsItself(server.Public(operation(id, http.MethodPost, path, "Evaluate flags"))),
			v.evaluate(path),
		)
	}
	server.Register(
		shell,
		server.LimitsItself(server.Public(
			operation("remote-config", http.MethodGet, flagsPath+"/{id}/remote_config", "The payload of a remote configuration"),
		)),
		v.remoteConfig,
	)
	server.Register(
		shell,
		operation(
			"evaluation-reasons",
			http.MethodGet,
			flagsPath+"/evaluation_reasons",
			"What each flag is for somebody, and why",
		),
		v.evaluationReasons,
	)
	server.Register(
		shell,
		operation("my-flags", http.MethodGet, flagsPath+"/my_flags", "What each flag is for the caller"),
		v.myFlags,
	)
}

// access is what a client may ask for.
type access struct {
	// served is what is published of the environment, and nil where the store has nothing of it yet.
	served *store.Environment
	// project is the namespace.
	project *server.Project
	// environment is the name of the environment.
	environment string
	// key is the kind of SDK key, where isKey says that there is one. Else the caller is somebody with a Kubernetes token.
	key   store.KeyKind
	isKey bool
	// caller is who has the Kubernetes token, and nil with an SDK key.
	caller *server.Caller
}

// admit finds out who asks: by the SDK key or Kubernetes token in the header Authorization, else by the SDK key that
// PostHog's clients call the project's token, else by the session. The environment is that of the SDK key, in whichever
// place it is; else the request's.
func (v *view) admit(ctx context.Context, scope *Scope, token string) (*access, error) {
	request := exchangeOf(ctx).request
	held, kind, found := v.store.ByKey(cmp.Or(server.Bearer(request), token))
	// Programs of one's own may ask as often as they like; whoever has a page's key, or none, has an address.
	if !found || kind != store.ServerKey {
		if err := v.server.Limits().TakeAddress(request); err != nil {
			return nil, err
		}
	}
	if found {
		return v.byKey(ctx, scope, held, kind)
	}
	if !v.store.Synced() {
		return nil, notSynced()
	}
	caller, err := v.server.Authenticate(request)
	if err != nil {
		return nil, err
	}
	ctx = server.WithCaller(ctx, caller)
	asked := *scope
	if held, _, found := v.store.ByKey(token); found && scope.ProjectID == "" {
		asked.ProjectID, asked.Environment = held.Project, held.Name
	}
	at, err := v.place(ctx, &asked)
	if err != nil {
		return nil, err
	}
	return &access{served: at.served, project: at.project, environment: at.environment.Name, caller: caller}, nil
}

// byKey is the access that an SDK key gives, which is to its own project.
func (v *view) byKey(ctx context.Context, scope *Scope, held *store.Environment, kind store.KeyKind) (*access, error) {
	project, err := v.cluster.Project(ctx, held.Project)
	if err != nil {
		return nil, err
	}
	if asked := scope.ProjectID; asked != "" && asked != current && asked != project.Name &&
		asked != string(project.UID) &&
		asked != teamOf(project) {
		return nil, server.NotFound("project", asked)
	}
	return &access{served: held, project: project, environment: held.Name, key: kind, isKey: true}, nil
}

// teamOf is the integer that stands for a project.
func teamOf(project *server.Project) string { return strconv.FormatInt(idOf(project.UID), 10) }

// ofServer fails where a client key asks for what only servers may see.
func (a *access) ofServer() error {
	if a.isKey && a.key == store.ClientKey {
		return server.Errorf(
			http.StatusForbidden,
			"a client key may not see this, which names whom flags are released to; use a server key",
		)
	}
	return nil
}

// findFor finds a flag by the integer that stands for it, or by key, for whoever has access.
func (v *view) findFor(ctx context.Context, of *access, id string) (*v1alpha1.FeatureFlag, error) {
	if !of.isKey {
		return v.flag(ctx, of.project, id)
	}
	flags, err := v.objects(ctx, of.project.Name)
	if err != nil {
		return nil, err
	}
	for key, flag := range flags {
		if key == id || strconv.FormatInt(idOf(flag.UID), 10) == id {
			return flag, nil
		}
	}
	return nil, server.NotFound("flag", id)
}

// objects are the flags of a project by key, for what is told of them to clients: id, version and what the view keeps
// of them.
func (v *view) objects(ctx context.Context, namespace string) (map[string]*v1alpha1.FeatureFlag, error) {
	all := &v1alpha1.FeatureFlagList{}
	if err := v.cluster.Reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	pointers := make([]*v1alpha1.FeatureFlag, len(all.Items))
	for i := range all.Items {
		pointers[i] = &all.Items[i]
	}
	return byKey(pointers), nil
}

// Definition is a flag, for clients that evaluate.
type Definition struct {
	ID                         int64        `json:"id"`
	TeamID                     int64        `json:"team_id"`
	Name                       string       `json:"name"`
	Key                        string       `json:"key"`
	Filters                    ShownFilters `json:"filters"`
	Deleted                    bool         `json:"deleted"`
	Active                     bool         `json:"active"`
	Version                    int64        `json:"version"`
	EvaluationRuntime          string       `json:"evaluation_runtime"`
	BucketingIdentifier        string       `json:"bucketing_identifier"`
	EnsureExperienceContinuity bool         `json:"ensure_experience_continuity" doc:"True makes clients ask the server about the flag."`
	EvaluationTags             []string     `json:"evaluation_tags" nullable:"false"`
}

// Definitions are all that clients need to evaluate.
type Definitions struct {
	Flags            []Definition       `json:"flags" nullable:"false"`
	GroupTypeMapping map[string]string  `json:"group_type_mapping"`
	Cohorts          map[string]*Cohort `json:"cohorts"`
}

// Wanted is what a client asks of definitions.
type Wanted struct {
	Token       string `query:"token" maxLength:"256" doc:"An SDK key, in the place of PostHog's project token."`
	SendCohorts bool   `query:"send_cohorts" doc:"Whether clients take cohorts. It may stand without a value."`
	IfNoneMatch string `header:"If-None-Match"`
}

// Resolve reads a parameter without a value as true.
func (i *Wanted) Resolve(ctx huma.Context) []error {
	url := ctx.URL()
	if values := url.Query()["send_cohorts"]; len(values) == 1 && values[0] == "" {
		i.SendCohorts = true
	}
	return nil
}

type definitionsInput struct {
	Headers
	Wanted
}

type localEvaluationInput struct {
	Scope
	Wanted
}

type definitionsOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *Definitions
}

func (v *view) definitions(ctx context.Context, input *definitionsInput) (*definitionsOutput, error) {
	return v.localEvaluation(ctx, &localEvaluationInput{Scope: Scope{Headers: input.Headers}, Wanted: input.Wanted})
}

func (v *view) localEvaluation(ctx context.Context, input *localEvaluationInput) (*definitionsOutput, error) {
	of, err := v.admit(ctx, &input.Scope, input.Token)
	if err != nil {
		return nil, err
	}
	if err := of.ofServer(); err != nil {
		return nil, err
	}
	body, err := v.define(ctx, of, input.SendCohorts)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode definitions: %w", err)
	}
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	output := &definitionsOutput{Status: http.StatusOK, ETag: "W/" + etag, Body: body}
	for candidate := range strings.SplitSeq(input.IfNoneMatch, ",") {
		if candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); candidate == etag || candidate == "*" {
			output.Status, output.Body = http.StatusNotModified, nil
		}
	}
	return output, nil
}

// define makes the definitions of what is published.
func (v *view) define(ctx context.Context, of *access, cohorts bool) (*Definitions, error) {
	body := &Definitions{Flags: []Definition{}, GroupTypeMapping: map[string]string{}, Cohorts: map[string]*Cohort{}}
	if of.served == nil {
		return body, nil
	}
	published, err := v.published.of(of.served)
	if err != nil {
		return nil, err
	}
	objects, err := v.objects(ctx, of.project.Name)
	if err != nil {
		return nil, err
	}
	document := published.document
	for _, key := range sortedKeys(document.Flags) {
		form := document.Flags[key]
		if form.Retained {
			continue
		}
		d := published.describe(key)
		definition := Definition{
			ID: idOf(types.UID("flag/" + key)), TeamID: idOf(of.project.UID), Name: key, Key: key, Filters: shown(&d.Filters),
			Active: form.Enabled || len(d.Filters.Groups) > 0, EvaluationRuntime: runtimes[v1alpha1.Runtime(form.Runtime)],
			BucketingIdentifier: distinctID, EvaluationTags: []string{},
		}
		if slices.ContainsFunc(form.Rules, func(rule datafile.Rule) bool { return rule.HashAttribute == deviceID }) {
			definition.BucketingIdentifier = "device_id"
		}
		if len(d.Remote) > 0 {
			definition.Active, definition.EnsureExperienceContinuity = true, true
			definition.Filters.Groups, definition.Filters.Multivariate = []Group{}, nil
		}
		if flag := objects[key]; flag != nil {
			stored := server.ViewFields[kept](flag, viewName)
			definition.ID, definition.Version, definition.EvaluationTags = idOf(
				flag.UID,
			), flag.Generation, list(
				stored.EvaluationTags,
			)
			definition.EnsureExperienceContinuity = definition.EnsureExperienceContinuity || stored.EnsureExperienceContinuity
		}
		body.Flags = append(body.Flags, definition)
	}
	if cohorts {
		for name, audience := range document.Audiences {
			if form, can := cohortForm(audience); can {
				body.Cohorts[strconv.FormatInt(cohortID(name), 10)] = form
			}
		}
	}
	return body, nil
}

type remoteConfigInput struct {
	FlagScope
	Token string `query:"token" maxLength:"256" doc:"An SDK key, in the place of PostHog's project token."`
}

type remoteConfigOutput struct {
	Body json.RawMessage `doc:"The payload as JSON, in a text; or null."`
}

// remoteConfig gives the payload that everybody gets. One from a Secret is read as the caller, and so SDK keys do not
// get it.
func (v *view) remoteConfig(ctx context.Context, input *remoteConfigInput) (*remoteConfigOutput, error) {
	of, err := v.admit(ctx, &input.Scope, input.Token)
	if err != nil {
		return nil, err
	}
	if err := of.ofServer(); err != nil {
		return nil, err
	}
	if of.caller != nil {
		ctx = server.WithCaller(ctx, of.caller)
	}
	flag, err := v.findFor(ctx, of, input.ID)
	if err != nil {
		return nil, err
	}
	if flag.Spec.Archived || !isRemoteConfiguration(flag, of.environment) {
		return nil, server.Errorf(http.StatusNotFound, "flag %q is no remote configuration", flag.Key())
	}
	payload, err := v.payload(ctx, of, flag)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(payload)
	return &remoteConfigOutput{Body: data}, err
}

// payload is what the flag, when on, serves to everybody, and nil where that is nothing. PostHog does not ask whether it
// is on.
func (v *view) payload(ctx context.Context, of *access, flag *v1alpha1.FeatureFlag) (*string, error) {
	if of.served == nil {
		return nil, nil
	}
	published, err := v.published.of(of.served)
	if err != nil {
		return nil, err
	}
	form := published.document.Flags[flag.Key()]
	if form == nil {
		return nil, nil
	}
	only, is := compile.OnlyVariation(form)
	if !form.Enabled {
		only, is = compile.OnlyVariation(asOn(flag, of.environment))
	}
	if !is {
		return nil, nil
	}
	for i := range form.Variations {
		if form.Variations[i].Key == only && len(form.Variations[i].Payload) > 0 {
			return new(asText(form.Variations[i].Payload)), nil
		}
	}
	for i := range flag.Spec.Variations {
		if from := flag.Spec.Variations[i].PayloadFrom; from != nil && flag.Spec.Variations[i].Key == only && !of.isKey {
			return v.secret(ctx, flag.Namespace, &from.SecretKeyRef)
		}
	}
	return nil, nil
}

// secret reads a payload as the caller.
func (v *view) secret(ctx context.Context, namespace string, from *v1alpha1.SecretKeySelector) (*string, error) {
	secret := &corev1.Secret{}
	if err := v.cluster.AsCaller().Get(ctx, client.ObjectKey{Namespace: namespace, Name: from.Name}, secret); err != nil {
		return nil, server.FromKubernetes(err, renameField)
	}
	data, found := secret.Data[from.Key]
	if !found {
		return nil, server.Errorf(http.StatusNotFound, "the Secret %s has no key %s", from.Name, from.Key)
	}
	return new(string(data)), nil
}

// Somebody are the parameters of who a flag is evaluated for.
type Somebody struct {
	Scope
	Groups string `query:"groups" default:"{}" maxLength:"4096" doc:"A JSON object. Flags are released to people, so it is not used."`
}

// context is that of a subject of whom nothing else is known.
func (s *Somebody) context(subject string) (map[string]any, error) {
	var groups map[string]any
	if err := json.Unmarshal([]byte(s.Groups), &groups); err != nil {
		return nil, &server.Error{
			Status:  http.StatusBadRequest,
			Message: "a parameter is malformed",
			Fields:  []server.FieldError{{Field: "groups", Message: "is no JSON object"}},
		}
	}
	return map[string]any{targetingKey: subject}, nil
}

type reasonsInput struct {
	Somebody
	DistinctID string `query:"distinct_id" required:"true" minLength:"1" maxLength:"1024" doc:"The targeting key."`
}

// Reasons is what a flag is for somebody, and why.
type Reasons struct {
	Value      any `json:"value" doc:"True, false or the variant."`
	Evaluation struct {
		Reason         string `json:"reason"`
		ConditionIndex *int   `json:"condition_index"`
	} `json:"evaluation"`
}

type reasonsOutput struct {
	Body map[string]Reasons
}

// disabledReason is the reason of flags that are off, here only.
const disabledReason = "disabled"

// evaluationReasons answers for all flags that are not deleted. Those that are off are false, whatever they serve.
func (v *view) evaluationReasons(ctx context.Context, input *reasonsInput) (*reasonsOutput, error) {
	answers, err := v.answersFor(ctx, &input.Somebody, input.DistinctID)
	if err != nil {
		return nil, err
	}
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.flags(ctx, at.project)
	if err != nil {
		return nil, err
	}
	output := &reasonsOutput{Body: map[string]Reasons{}}
	for i := range answers {
		reasons := Reasons{Value: answers[i].value}
		reasons.Evaluation.Reason, reasons.Evaluation.ConditionIndex = answers[i].code, answers[i].index
		if answers[i].code != flagDisabled {
			output.Body[answers[i].key] = reasons
		}
	}
	for key, flag := range flags {
		if _, answered := output.Body[key]; !answered && !flag.Spec.Archived && !flag.EnabledIn(at.environment.Name) {
			reasons := Reasons{Value: false}
			reasons.Evaluation.Reason = disabledReason
			output.Body[key] = reasons
		}
	}
	return output, nil
}

// MyFlag is a flag, and what it is for the caller.
type MyFlag struct {
	FeatureFlag *Flag `json:"feature_flag"`
	Value       any   `json:"value" doc:"True, false or the variant."`
}

type myFlagsOutput struct {
	Body []MyFlag `nullable:"false"`
}

func (v *view) myFlags(ctx context.Context, input *Somebody) (*myFlagsOutput, error) {
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	flags, err := v.flags(ctx, at.project)
	if err != nil {
		return nil, err
	}
	answers, err := v.answersFor(ctx, input, server.CallerFrom(ctx).User.GetName())
	output := &myFlagsOutput{Body: []MyFlag{}}
	for i := range answers {
		if flag := flags[answers[i].key]; flag != nil {
			output.Body = append(output.Body, MyFlag{FeatureFlag: v.show(ctx, at, flag), Value: answers[i].value})
		}
	}
	return output, err
}

// everyFlag wants all flags.
func everyFlag(string, func() []string) bool { return true }

// answersFor are those for a subject of whom nothing else is known.
func (v *view) answersFor(ctx context.Context, input *Somebody, subject string) ([]answer, error) {
	context, err := input.context(subject)
	if err != nil {
		return nil, err
	}
	at, err := v.place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	of := &access{served: at.served, project: at.project, environment: at.environment.Name}
	return v.answers(ctx, of, context, everyFlag)
}
