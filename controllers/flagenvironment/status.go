// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// maxDeliveries is how many namespaces with a copy a status names.
const maxDeliveries = 100

// maxForged is how many forged ConfigMaps a message names.
const maxForged = 10

// maxLeftOut is how many drafts without room, or changes that do not fit, a message names.
const maxLeftOut = 10

// maxActorBytes is how much of a user's name a message holds.
const maxActorBytes = 256

// maxPendingFlags is how many pending flags a status names.
const maxPendingFlags = 20

// patchStatus writes the status where it changed; problem is why what is wanted is not served.
func (r *Reconciler) patchStatus(ctx context.Context, s *scope, problem error) error {
	after := s.environment.DeepCopy()
	var err error
	if s.unsealed, err = r.Publisher.Forged(ctx, s.environment); err != nil {
		return err
	}
	if delivery, known := r.Deliveries.Read(client.ObjectKeyFromObject(s.environment)); known {
		s.delivery = &delivery
	}
	computeStatus(s, problem, &after.Status)
	before := &s.environment.Status
	s.settles, err = r.Status.Report(ctx, status.Change{
		Before: s.environment, After: after, Was: before.Conditions, Is: after.Status.Conditions,
		Urgency: urgencyOf(before, &after.Status),
	}, s.now)
	if err != nil || s.settles > 0 {
		return err
	}
	r.tellThaw(s, after)
	return nil
}

// computeStatus sets what this controller reports; the rest of the status is left as it is.
func computeStatus(s *scope, problem error, to *v1alpha1.FlagEnvironmentStatus) {
	to.ObservedGeneration = s.environment.Generation
	if s.state.handledRequest != "" {
		to.LastHandledPublishAt = s.state.handledRequest
	}
	to.WaitingPublish = s.state.waiting
	if served := s.state.served; served != nil && served.Revision > 0 {
		files := served.Files.Only(s.environment.Spec.Datafile.Formats)
		to.PublishedRevision, to.PublishedDigest = served.Revision, served.Digest
		to.PinnedRevision = pinnedRevision(&s.environment.Spec.Publish, served)
		to.PublishedAt = nil
		if !served.PublishedAt.IsZero() {
			to.PublishedAt = &metav1.Time{Time: served.PublishedAt}
		}
		to.Datafile = v1alpha1.DatafileStatus{Bytes: int64(files.Bytes()), Compressed: files.Compressed()}
	}
	conditions := status.Conditions{List: &to.Conditions, Generation: s.environment.Generation}
	if s.state.compiled != nil && !s.state.stopped {
		summary := s.state.compiled.Summary()
		to.Flags = v1alpha1.FlagCounts{
			Total:    int32(summary.Total),
			LastGood: int32(len(s.state.compiled.LastGood())),
		}
		pending := slices.AppendSeq(s.state.unfit(), maps.Keys(s.state.pending))
		slices.Sort(pending)
		pending = slices.Compact(pending)
		to.Flags.Pending = int32(len(pending))
		to.PendingFlags = pending[:min(len(pending), maxPendingFlags)]
		s.recordDeleted(to)
		setCompiled(conditions, s, summary)
		setFlagdPublished(conditions, s, summary)
	}
	setPublished(conditions, s, problem)
	setSealed(conditions, s)
	setDelivered(conditions, s, to)
	setAcknowledged(conditions, s, to)
	conditions.SetReady(
		v1alpha1.CompiledCondition,
		v1alpha1.PublishedCondition,
		v1alpha1.FlagdPublishedCondition,
		v1alpha1.DeliveredCondition,
		v1alpha1.AcknowledgedCondition,
	)
	if s.watchProblem != "" {
		conditions.Set(v1alpha1.ReadyCondition, false, v1alpha1.WatchFailedReason, s.watchProblem)
	}
	if !s.environment.DeletionTimestamp.IsZero() {
		conditions.Set(v1alpha1.ReadyCondition, false, v1alpha1.TerminatingReason, fmt.Sprintf(
			"the environment is being deleted and is served until it is gone; the finalizers %s keep it",
			strings.Join(s.environment.Finalizers, ", ")))
	}
	spec := s.environment.Spec.Publish.At(s.now)
	setState(&spec, to, int32(len(s.state.unfit())))
}

// setDelivered says what the delivery controller has reported. Between a publish and the report on it, the last report
// stays, which names its revision; another selector makes it worthless at once. Right after a start, when there is no
// report yet, the status stays.
func setDelivered(conditions status.Conditions, s *scope, to *v1alpha1.FlagEnvironmentStatus) {
	delivery, selector := s.delivery, s.environment.Spec.Delivery.NamespaceSelector
	if delivery != nil {
		to.Deliveries = delivery.Copies[:min(len(delivery.Copies), maxDeliveries)]
		to.DeliveriesCount = int32(len(delivery.Copies))
	}
	last := meta.FindStatusCondition(to.Conditions, v1alpha1.DeliveredCondition)
	switch {
	case selector == nil:
		conditions.Remove(v1alpha1.DeliveredCondition)
	case delivery != nil && equality.Semantic.DeepEqual(delivery.Selector, selector):
		conditions.Set(v1alpha1.DeliveredCondition, delivery.Delivered, delivery.Reason, delivery.Message)
	case delivery != nil || last == nil || last.ObservedGeneration != s.environment.Generation:
		conditions.Set(
			v1alpha1.DeliveredCondition,
			false,
			v1alpha1.PendingReason,
			"copies for the selected namespaces are being written",
		)
	}
}

// setCompiled says what keeps its last good form, and why.
func setCompiled(conditions status.Conditions, s *scope, summary compile.Summary) {
	held := s.state.compiled.Held()
	var broken []string
	for _, group := range []struct {
		kind  string
		names []string
	}{{"flags", summary.LastGood}, {"audiences", summary.BrokenAudiences}, {"events", summary.BrokenEvents}} {
		if len(group.names) > 0 {
			broken = append(broken, group.kind+" "+strings.Join(group.names, ", "))
		}
	}
	if len(held) > 0 {
		broken = append([]string{vanishedMessage(s.environment, s.usedConfirmation(), held)}, broken...)
		conditions.Set(
			v1alpha1.CompiledCondition, false, v1alpha1.FlagsVanishedReason, strings.Join(broken, "; broken as well: "),
		)
		return
	}
	if len(broken) == 0 {
		conditions.Set(
			v1alpha1.CompiledCondition,
			true,
			v1alpha1.CompiledReason,
			fmt.Sprintf("all %d flags compiled%s", summary.Total, noRoomMessage(s.state.compiled)),
		)
		return
	}
	message := "not compiled, so that what was published last stays: " + strings.Join(broken, "; ")
	if summary.Absent > 0 {
		message += fmt.Sprintf("; %d of the flags were never published and are not served", summary.Absent)
	}
	message += noRoomMessage(s.state.compiled)
	conditions.Set(v1alpha1.CompiledCondition, false, v1alpha1.LastGoodReason, message)
}

// noRoomMessage names what is not published as it is because it does not fit, which is its own matter: the environment
// is well.
func noRoomMessage(compiled *compile.Environment) string {
	message := ""
	flags, audiences := compiled.TooLarge()
	if len(flags) > 0 {
		message += "; the datafile does not fit into a ConfigMap with the changes of flags " + firstOf(flags)
	}
	if len(audiences) > 0 {
		message += "; the datafile does not fit into a ConfigMap with the changes of audiences " + firstOf(audiences)
	}
	if message != "" {
		message += ", which wait for a publish and are not part of it: make them smaller, archive flags or split the project"
	}
	if drafts := compiled.LeftOut(); len(drafts) > 0 {
		message += fmt.Sprintf(
			"; there is no room for drafts, which may fill %d bytes of the ConfigMap, as they are now: %s; archive "+
				"flags or split the project",
			validation.DraftBytes,
			firstOf(drafts),
		)
	}
	return message
}

// firstOf joins the first maxLeftOut names.
func firstOf(names []string) string {
	named := strings.Join(names[:min(len(names), maxLeftOut)], ", ")
	if more := len(names) - maxLeftOut; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return named
}

// setFlagdPublished speaks of the file as a whole. A flag that flagd cannot express says so itself.
func setFlagdPublished(conditions status.Conditions, s *scope, summary compile.Summary) {
	served := s.state.served
	switch {
	case !slices.Contains(s.environment.Spec.Datafile.Formats, v1alpha1.DatafileFormatFlagd):
		conditions.Remove(v1alpha1.FlagdPublishedCondition)
	case served == nil || served.Revision == 0:
		conditions.Set(v1alpha1.FlagdPublishedCondition, false, v1alpha1.PendingReason, "nothing is published yet")
	case served.Files.Text[flagd.FileName] == "" && served.FlagdComplete:
		conditions.Set(v1alpha1.FlagdPublishedCondition, false, v1alpha1.PendingReason,
			fmt.Sprintf("revision %d has no flagd file; the next publish makes one", served.Revision))
	case !served.FlagdComplete:
		conditions.Set(
			v1alpha1.FlagdPublishedCondition,
			false,
			v1alpha1.DatafileTooLargeReason,
			"the flagd file does not fit into the ConfigMap and is that of an older revision, with those flags off that are off now; "+
				"split the project, move members out of audiences, or read the whole file over gRPC or HTTP instead of the mount",
		)
	case summary.FlagdMissing > 0:
		conditions.Set(
			v1alpha1.FlagdPublishedCondition,
			true,
			v1alpha1.CompleteReason,
			fmt.Sprintf(
				"the flagd file holds every flag that flagd can express; %d are left out, see their condition FlagdCompatible",
				summary.FlagdMissing,
			),
		)
	default:
		conditions.Set(v1alpha1.FlagdPublishedCondition, true, v1alpha1.CompleteReason, "the flagd file holds every flag")
	}
}

func setPublished(conditions status.Conditions, s *scope, problem error) {
	spec, served := s.environment.Spec.Publish.At(s.now), s.state.served
	set := func(isTrue bool, reason, message string) {
		conditions.Set(v1alpha1.PublishedCondition, isTrue, reason, message)
	}
	switch {
	case publish.ProblemOf(problem) != nil:
		set(false, publish.ProblemOf(problem).Reason, publish.ProblemOf(problem).Message)
	case problem == nil && served != nil && served.BreakGlass != nil:
		set(false, v1alpha1.BreakGlassReason, breakGlassMessage(s))
	case problem != nil:
		set(false, v1alpha1.WriteFailedReason, problem.Error()+"; it is tried again")
	case served == nil || served.Revision == 0 && spec.Suspend:
		set(false, v1alpha1.SuspendedReason, "nothing is published yet, and publishing is suspended"+status.Suspension(&spec))
	case served.Revision == 0:
		set(
			false,
			v1alpha1.AwaitingPublishReason,
			"nothing is published yet; annotate the environment with "+v1alpha1.PublishRequestedAtAnnotation,
		)
	case spec.Revision != nil:
		set(true, v1alpha1.PinnedReason, pinnedMessage(served))
	case served.Digest == s.state.digest:
		set(
			true,
			v1alpha1.PublishedReason,
			fmt.Sprintf("revision %d is served%s%s", served.Revision, fullness(s), unfitMessage(s)),
		)
	case spec.Suspend:
		set(
			true,
			v1alpha1.SuspendedReason,
			fmt.Sprintf(
				"revision %d is served; changes wait because publishing is suspended%s", served.Revision, status.Suspension(&spec),
			),
		)
	default:
		set(
			true,
			v1alpha1.AwaitingPublishReason,
			fmt.Sprintf("revision %d is served; changes wait for a publish", served.Revision),
		)
	}
}

// setSealed names what carries the environment's labels and was not published by the operator.
func setSealed(conditions status.Conditions, s *scope) {
	var found []string
	if s.state.served != nil {
		for _, forged := range s.state.served.Forged {
			found = append(found, forged.Name+" ("+forged.Why+")")
		}
	}
	for _, name := range s.unsealed {
		if !slices.ContainsFunc(found, func(named string) bool { return strings.HasPrefix(named, name+" (") }) {
			found = append(found, name+" (it does not bear the operator's seal)")
		}
	}
	if len(found) == 0 {
		conditions.Remove(v1alpha1.SealedCondition)
		return
	}
	named := strings.Join(found[:min(len(found), maxForged)], ", ")
	if more := len(found) - maxForged; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	conditions.Set(v1alpha1.SealedCondition, false, v1alpha1.TamperedReason, fmt.Sprintf(
		"these ConfigMaps are not what the operator published, and are not served: %s; find out who wrote them, then delete them",
		named,
	))
}

// fullness tells of a datafile that comes near to what a ConfigMap holds.
func fullness(s *scope) string {
	size := s.state.served.Files.Only(s.environment.Spec.Datafile.Formats).Bytes()
	if percent := size * 100 / datafile.MaxConfigMapBytes; percent >= validation.DatafileWarningPercent {
		return fmt.Sprintf("; it takes %d %% of what a ConfigMap holds: archive flags or split the project", percent)
	}
	return ""
}

// unfitMessage names, to whoever waits for a publish, the flags whose changes it left out.
func unfitMessage(s *scope) string {
	if unfit := s.state.unfit(); len(unfit) > 0 {
		return fmt.Sprintf("; without the changes of %d flags that do not fit: %s", len(unfit), firstOf(unfit))
	}
	return ""
}

// breakGlassMessage says who wrote what is served without the operator, and how that ends.
func breakGlassMessage(s *scope) string {
	served := s.state.served
	return fmt.Sprintf(
		"%s wrote revision %d without the operator (break glass) at %s, and it stays as it is; to end that, run "+
			"\"jackstaff break-glass end %s -n %s\", or remove the annotation %s from ConfigMap %q",
		validation.Truncate(served.BreakGlass.Actor, maxActorBytes),
		served.Revision,
		served.BreakGlass.At.UTC().Format(time.RFC3339),
		s.environment.Name,
		s.environment.Namespace,
		v1alpha1.BreakGlassAnnotation,
		s.environment.DatafileName(),
	)
}

// pinnedRevision is the revision of the history that is served because it is pinned, by its own number or by another one
// that flags forced off give it, and 0 where there is none. Where a pin ends and nothing takes its place, a revision that
// flags forced off have made stays what it is.
func pinnedRevision(spec *v1alpha1.Publish, served *publish.Served) int64 {
	if spec.Revision != nil && *spec.Revision == served.Revision {
		return served.Revision
	}
	return served.PinnedRevision
}

// pinnedMessage says which revision is pinned, and by which it is served.
func pinnedMessage(served *publish.Served) string {
	if served.PinnedRevision == 0 {
		return fmt.Sprintf("revision %d is pinned by spec.publish.revision", served.Revision)
	}
	return fmt.Sprintf("revision %d is pinned by spec.publish.revision, and served as revision %d with flags off by the "+
		"annotation %s", served.PinnedRevision, served.Revision, v1alpha1.ForceDisabledAnnotation)
}
