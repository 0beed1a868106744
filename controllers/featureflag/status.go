// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package featureflag

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// maxEnvironments is how many environments a status tells of.
const maxEnvironments = 100

// maxActorBytes bounds the user name in a status.
const maxActorBytes = 256

// computeStatus makes the status of a flag from what was gathered and from the status before.
func computeStatus(s *scope, staleAfter time.Duration, to *v1alpha1.FeatureFlagStatus) {
	isNew := to.ObservedGeneration != s.flag.Generation
	setStates(s, isNew, to)
	setNeverEnabledIn(s, to)
	setTimes(s, isNew, to)
	to.ObservedGeneration = s.flag.Generation
	to.Phase = phase(s, to)
	setStale(s, staleAfter, to)

	conditions := status.Conditions{List: &to.Conditions, Generation: s.flag.Generation}
	setAccepted(conditions, s)
	setResolvedRefs(conditions, s)
	setFlagdCompatible(conditions, s)
	setPublished(conditions, s, to.Environments)
	conditions.SetReady(v1alpha1.AcceptedCondition, v1alpha1.ResolvedRefsCondition, v1alpha1.FlagdCompatibleCondition)
}

// setStates sets the state of the flag in each environment, the summary, and how many of them have changes that wait.
func setStates(s *scope, isNew bool, to *v1alpha1.FeatureFlagStatus) {
	before := to.Environments
	to.Environments, to.Pending, to.Summary = nil, 0, ""
	var summary []string
	for i := range s.environments[:min(len(s.environments), maxEnvironments)] {
		state := s.stateIn(&s.environments[i], before, isNew)
		if state.State.IsPending() || s.environments[i].lacksRoom() {
			to.Pending++
		}
		to.Environments = append(to.Environments, state)
		summary = append(summary, summaryOf(&state))
	}
	to.Summary = strings.Join(summary, " ")
}

// publishedRevision is the revision that changed the flag's part last. Where that was before the operator started, the
// status knows it; where even the status does not, for it speaks of an older generation or of what is not served any more,
// such as before a break glass, the flag is in what is served now.
func publishedRevision(environment *environment, before []v1alpha1.EnvironmentState, isNew bool) int64 {
	if environment.entry.Revision > 0 {
		return environment.entry.Revision
	}
	var known int64
	if i := slices.IndexFunc(
		before,
		func(state v1alpha1.EnvironmentState) bool { return state.Name == environment.Name },
	); i >= 0 && before[i].Served != nil {
		known = before[i].Served.Revision
		if served := environment.entry.Served; served != nil && before[i].Served.Enabled != served.Enabled {
			return environment.facts.Revision
		}
	}
	isServed := environment.known && !environment.entry.Pending && environment.entry.Outcome.Form != nil
	if isServed && (known == 0 || isNew) {
		return environment.facts.Revision
	}
	return known
}

// setTimes keeps when and by whom the flag was changed last, and when it was archived and first enabled. The flag's
// change records know; they stay with the flag until its status has the times. A brake is a change like any other, though
// it is none of the spec. Where no record tells of a new spec, because admission was not there, it has changed when this
// controller saw it, and nobody knows by whom.
func setTimes(s *scope, isNew bool, to *v1alpha1.FeatureFlagStatus) {
	// Records that cannot be read know nothing.
	records, _ := history.Decode(s.flag.Annotations[v1alpha1.ChangesAnnotation])
	switch {
	case len(records) > 0:
		newest := &records[len(records)-1]
		to.LastChangedTime = seconds(newest.Time.Time)
		to.LastChangedBy = validation.Truncate(newest.Actor.Name, maxActorBytes)
	case to.LastChangedTime == nil:
		to.LastChangedTime = s.flag.CreationTimestamp.DeepCopy()
	case isNew:
		to.LastChangedTime, to.LastChangedBy = seconds(s.now), ""
	}
	switch {
	case !s.flag.Spec.Archived:
		to.ArchivedTime = nil
	case to.ArchivedTime == nil:
		to.ArchivedTime = s.timeOf(records, func(record history.Record) bool {
			return record.Action == history.FlagArchived || record.Action == history.FlagCreated
		})
	}
	// A flag may have been switched off again before this controller came to look at it.
	first := slices.IndexFunc(records, func(record history.Record) bool { return record.Enables || record.LostEnables })
	switch {
	case to.FirstEnabledTime != nil:
	case first >= 0:
		to.FirstEnabledTime = seconds(records[first].Time.Time)
	case isEnabled(to) || slices.ContainsFunc(s.environments, func(e environment) bool { return e.entry.WasEnabled }):
		to.FirstEnabledTime = seconds(s.now)
	}
}

// timeOf is the time of the newest record of a kind, and now where there is none.
func (s *scope) timeOf(records []history.Record, isMeant func(history.Record) bool) *metav1.Time {
	for _, record := range slices.Backward(records) {
		if isMeant(record) {
			return seconds(record.Time.Time)
		}
	}
	return seconds(s.now)
}

// seconds is a time as a status holds it.
func seconds(at time.Time) *metav1.Time { return &metav1.Time{Time: at.Truncate(time.Second)} }

func phase(s *scope, to *v1alpha1.FeatureFlagStatus) v1alpha1.Phase {
	switch {
	case s.flag.Spec.Archived:
		return v1alpha1.PhaseArchived
	case to.FirstEnabledTime == nil:
		return v1alpha1.PhaseDraft
	case isEnabled(to):
		return v1alpha1.PhaseActive
	default:
		return v1alpha1.PhaseInactive
	}
}

// isEnabled reports whether the flag is enabled in any environment.
func isEnabled(to *v1alpha1.FeatureFlagStatus) bool {
	return slices.ContainsFunc(to.Environments, func(state v1alpha1.EnvironmentState) bool { return state.Wanted.Enabled })
}

// setStale marks an active flag that has served one variation to everybody, everywhere, for staleAfter.
func setStale(s *scope, staleAfter time.Duration, to *v1alpha1.FeatureFlagStatus) {
	since := to.LastChangedTime.Add(staleAfter)
	if !rolledOut(s, to) || s.now.Before(since) {
		to.Stale = nil
		return
	}
	to.Stale = &v1alpha1.Stale{Since: metav1.Time{Time: since}, Reason: v1alpha1.StaleReasonFullyRolledOut}
}

// rolledOut reports whether an active flag serves the same variation to everybody in every environment, whatever the
// time.
func rolledOut(s *scope, to *v1alpha1.FeatureFlagStatus) bool {
	if to.Phase != v1alpha1.PhaseActive {
		return false
	}
	served, seen := "", false
	for i := range s.environments {
		environment := &s.environments[i]
		if environment.missing || environment.IsElsewhere() {
			continue
		}
		only, ok := compile.OnlyVariation(environment.entry.Served)
		if !ok || seen && only != served {
			return false
		}
		served, seen = only, true
	}
	return seen
}

// nextLook is how long until the status changes by time alone, and 0 where it does not.
func nextLook(s *scope, to *v1alpha1.FeatureFlagStatus, staleAfter time.Duration) time.Duration {
	var next time.Duration
	consider := func(at time.Time) {
		if wait := at.Sub(s.now); wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	for i := range s.environments {
		environment := &s.environments[i]
		for _, form := range environment.forms() {
			if at, ok := compile.NextChange(form, s.now); ok {
				consider(at)
			}
		}
		// A freeze that ends by itself changes no object. What waits for it may go on waiting, for a publish.
		if until := environment.Spec.Publish.At(s.now).SuspendUntil; until != nil {
			consider(until.Time)
		}
	}
	if rolledOut(s, to) && to.Stale == nil {
		consider(to.LastChangedTime.Add(staleAfter))
	}
	return next
}

func setAccepted(conditions status.Conditions, s *scope) {
	if err := s.mistakes.ToAggregate(); err != nil {
		conditions.Set(
			v1alpha1.AcceptedCondition,
			false,
			v1alpha1.InvalidReason,
			err.Error()+"; what was published last stays",
		)
		return
	}
	for _, reason := range []struct {
		finding validation.FindingKind
		reason  string
	}{
		{validation.KeyTaken, v1alpha1.KeyTakenReason},
		{validation.PrerequisiteCycle, v1alpha1.PrerequisiteCycleReason},
	} {
		if message := detail(s, reason.finding); message != "" {
			conditions.Set(v1alpha1.AcceptedCondition, false, reason.reason, message)
			return
		}
	}
	messages := []string{"the flag is valid and its key is its own"}
	for _, advice := range []validation.FindingKind{validation.ArchivedButRequired, validation.Unreachable, validation.ZeroWeight, validation.LargeSpec} {
		if details := detail(s, advice); details != "" {
			messages = append(messages, details)
		}
	}
	conditions.Set(v1alpha1.AcceptedCondition, true, v1alpha1.AcceptedReason, strings.Join(messages, "; "))
}

func setResolvedRefs(conditions status.Conditions, s *scope) {
	if message := detail(s, validation.NotFound); message != "" {
		conditions.Set(v1alpha1.ResolvedRefsCondition, false, v1alpha1.NotFoundReason, message)
		return
	}
	conditions.Set(
		v1alpha1.ResolvedRefsCondition,
		true,
		v1alpha1.ResolvedReason,
		"every object that the flag names exists",
	)
}

// tellLastGood records an event where a flag that waited for a publish comes to keep its last good form, such as because
// the datafile does not fit with its change. Published was False before already, so that no transition tells of it.
func (r *Reconciler) tellLastGood(before, after *v1alpha1.FeatureFlag) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.PublishedCondition)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.PublishedCondition)
	if was == nil || is == nil || was.Status != metav1.ConditionFalse || was.Reason == is.Reason ||
		is.Reason != v1alpha1.LastGoodReason {
		return
	}
	r.Status.Recorder.Eventf(after, nil, corev1.EventTypeWarning, is.Reason, v1alpha1.PublishedCondition,
		"%s is %s: %s", v1alpha1.PublishedCondition, is.Status, is.Message)
}

// detail joins the findings of one kind.
func detail(s *scope, kind validation.FindingKind) string {
	var details []string
	for _, finding := range s.findings {
		if finding.Kind == kind {
			details = append(details, finding.Field+": "+finding.Detail)
		}
	}
	return strings.Join(details, "; ")
}

func setFlagdCompatible(conditions status.Conditions, s *scope) {
	var reasons []string
	for _, environment := range s.environments {
		if err := environment.entry.Outcome.FlagdError; err != nil &&
			slices.Contains(environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd) {
			reasons = append(reasons, environment.Name+": "+err.Error())
		}
	}
	if len(reasons) > 0 {
		conditions.Set(v1alpha1.FlagdCompatibleCondition, false, v1alpha1.NotExpressibleReason, strings.Join(reasons, "; "))
		return
	}
	conditions.Set(
		v1alpha1.FlagdCompatibleCondition,
		true,
		v1alpha1.CompatibleReason,
		"every flagd file can carry the flag",
	)
}
