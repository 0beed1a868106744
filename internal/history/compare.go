// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Object is what has a history: a FeatureFlag, FlagEnvironment, FlagAudience or FlagEvent.
type Object = metav1.Object

// maxChanges is how many changes are looked at closely; no record has place for more.
const maxChanges = 256

// Compare returns the record of a change from before to after, still to be stamped. Before is nil where the object is
// created, after where it is deleted. Spec, labels, finalizers, owners and the annotations of this project are
// compared. The result is false where they do not differ, and for an object without a history. Defaults are expected to
// be set.
func Compare(before, after Object) (Record, bool, error) {
	of := after
	if after == nil {
		of = before
	}
	actions, has := actionsOf(of)
	if !has {
		return Record{}, false, nil
	}
	if after == nil {
		return Record{Action: actions.deleted}, true, nil
	}
	was, err := document(before)
	if err != nil {
		return Record{}, false, err
	}
	is, err := document(after)
	if err != nil {
		return Record{}, false, err
	}
	d := &differ{classify: actions.classify, updated: actions.updated}
	d.compare(position{}, was, is)
	if d.err != nil {
		return Record{}, false, fmt.Errorf("compare %q: %w", of.GetName(), d.err)
	}
	record := Record{Action: d.action, Enables: enables(before, after), Changes: d.changes, Omitted: d.omitted}
	if before == nil {
		record.Action = actions.created
		return record, true, nil
	}
	return record, len(d.changes) > 0, nil
}

// actions are the names of what can be done to a Kind.
type actions struct {
	created, updated, deleted Action
	// classify returns the action that a change of one field is, of which names are the field's names without the keys of
	// elements.
	classify func(names []string, to any) Action
}

// actionsByKind are the actions of the Kinds that have a history, by the Kind's name.
var actionsByKind = map[string]actions{
	"FeatureFlag":     {FlagCreated, FlagUpdated, FlagDeleted, flagAction},
	"FlagEnvironment": {EnvironmentCreated, EnvironmentUpdated, EnvironmentDeleted, environmentAction},
	"FlagAudience":    {AudienceCreated, AudienceUpdated, AudienceDeleted, always(AudienceUpdated)},
	"FlagEvent":       {EventCreated, EventUpdated, EventDeleted, always(EventUpdated)},
}

func actionsOf(object Object) (actions, bool) {
	kind, _ := v1alpha1.KindOf(object)
	of, has := actionsByKind[kind.Name]
	return of, has
}

func always(action Action) func([]string, any) Action {
	return func([]string, any) Action { return action }
}

func flagAction(names []string, to any) Action {
	path := strings.Join(names[:min(len(names), 3)], ".")
	switch path {
	case "spec.archived":
		if to == true {
			return FlagArchived
		}
		return FlagRestored
	case "spec.environments.enabled", "metadata.annotations." + v1alpha1.ForceDisabledAnnotation:
		return FlagToggled
	case "spec.environments.rules":
		return FlagRulesChanged
	case "spec.environments.overrides":
		return FlagOverridesChanged
	}
	if strings.HasPrefix(path, "spec.variations") {
		return FlagVariationsChanged
	}
	return FlagUpdated
}

func environmentAction(names []string, to any) Action {
	switch path := strings.Join(names, "."); {
	case path == "metadata.annotations."+v1alpha1.PublishRequestedAtAnnotation && to != nil:
		return EnvironmentPublished
	case path == "spec.publish.revision" && to != nil,
		path == "metadata.annotations."+v1alpha1.PinAgainAnnotation && to != nil:
		return EnvironmentPinned
	case path == "spec.publish.suspend" && to == true,
		(path == "spec.publish.suspendReason" || path == "spec.publish.suspendUntil") && to != nil:
		return EnvironmentSuspended
	default:
		return EnvironmentUpdated
	}
}

// enables reports whether a flag is enabled in an environment in which it was not.
func enables(before, after Object) bool {
	flag, isFlag := after.(*v1alpha1.FeatureFlag)
	if !isFlag {
		return false
	}
	enabled := map[string]bool{}
	if old, has := before.(*v1alpha1.FeatureFlag); has {
		for i := range old.Spec.Environments {
			enabled[old.Spec.Environments[i].Name] = old.Spec.Environments[i].Enabled
		}
	}
	return slices.ContainsFunc(flag.Spec.Environments, func(environment v1alpha1.EnvironmentConfig) bool {
		return environment.Enabled && !enabled[environment.Name]
	})
}

// document is what is compared of an object, as JSON sees it.
func document(object Object) (map[string]any, error) {
	if object == nil {
		return nil, nil
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %q: %w", object.GetName(), err)
	}
	var fields struct {
		Spec     map[string]any `json:"spec"`
		Metadata struct {
			OwnerReferences any `json:"ownerReferences"`
			Finalizers      any `json:"finalizers"`
		} `json:"metadata"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("decode %q: %w", object.GetName(), err)
	}
	annotations := map[string]any{}
	for name, value := range object.GetAnnotations() {
		if strings.HasPrefix(name, v1alpha1.AnnotationPrefix) && name != v1alpha1.ChangesAnnotation {
			annotations[name] = value
		}
	}
	labels := map[string]any{}
	for name, value := range object.GetLabels() {
		labels[name] = value
	}
	return map[string]any{"spec": fields.Spec, "metadata": map[string]any{
		"annotations":     annotations,
		"labels":          labels,
		"ownerReferences": fields.Metadata.OwnerReferences,
		"finalizers":      fields.Metadata.Finalizers,
	}}, nil
}

// differ collects changes.
type differ struct {
	classify func(names []string, to any) Action
	updated  Action

	changes []Change
	omitted int
	action  Action
	err     error
}

// position is where a comparison stands.
type position struct {
	path string
	// names are those of the fields that lead there, without the keys of elements.
	names []string
}

func (p position) field(name string) position {
	path := name
	if p.path != "" {
		path = p.path + "." + name
	}
	return position{path, append(slices.Clip(p.names), name)}
}

// element leads to what has a key: an element of a list, or an entry whose name is the user's and not a field.
func (p position) element(key string) position { return position{p.path + "[" + key + "]", p.names} }

// entry is an element that counts among the names.
func (p position) entry(key string) position {
	return position{p.path + "[" + key + "]", append(slices.Clip(p.names), key)}
}

func (p position) last() string {
	if len(p.names) == 0 {
		return ""
	}
	return p.names[len(p.names)-1]
}

// elementKeys are the fields by which the elements of a list of objects are told apart.
var elementKeys = map[string]string{
	"environments":    "name",
	"overrides":       "targetingKey",
	"ownerReferences": "uid",
	"prerequisites":   "flag",
	"rules":           "name",
	"split":           "variation",
	"variations":      "key",
}

// isWhole reports whether a field is compared and recorded as one value.
func isWhole(name string) bool {
	return slices.Contains([]string{"conditions", "matchAny", "namespaceSelector", "payload", "value"}, name)
}

func (d *differ) compare(at position, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	wasMap, isMap := asMap(before), asMap(after)
	wasList, isList := asList(before), asList(after)
	switch {
	case isWhole(at.last()):
		d.add(at, before, after)
	case wasMap != nil && isMap != nil:
		d.compareMaps(at, wasMap, isMap)
	case wasList != nil && isList != nil:
		d.compareLists(at, wasList, isList)
	default:
		d.add(at, before, after)
	}
}

// asMap returns value as an object. What is not there is an empty one.
func asMap(value any) map[string]any {
	if fields, isMap := value.(map[string]any); isMap && fields != nil {
		return fields
	} else if value == nil || isMap {
		return map[string]any{}
	}
	return nil
}

// asList returns value as a list. What is not there is an empty one.
func asList(value any) []any {
	if elements, isList := value.([]any); isList && elements != nil {
		return elements
	} else if value == nil || isList {
		return []any{}
	}
	return nil
}

// keysOf returns the keys by which a list's elements are told apart: the elements themselves where they are strings,
// else their field of that name. It returns nil where these do not tell them apart.
func keysOf(list []any, name string) []string {
	keys := make([]string, len(list))
	for i, element := range list {
		if fields, isMap := element.(map[string]any); isMap {
			element = fields[name]
		}
		key, isString := element.(string)
		if !isString {
			return nil
		}
		keys[i] = key
	}
	if len(slices.Compact(slices.Sorted(slices.Values(keys)))) < len(keys) {
		return nil
	}
	return keys
}

func (d *differ) compareMaps(at position, before, after map[string]any) {
	// Names in these maps are the user's.
	free := at.path == "spec.metadata" || at.path == "metadata.annotations" || at.path == "metadata.labels"
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		next := at.field(name)
		if free {
			next = at.entry(name)
		}
		d.compare(next, before[name], after[name])
	}
}

// compareLists compares element by element where the elements have keys, and then the order of what both lists have.
func (d *differ) compareLists(at position, before, after []any) {
	keysBefore, keysAfter := keysOf(before, elementKeys[at.last()]), keysOf(after, elementKeys[at.last()])
	if keysBefore == nil || keysAfter == nil {
		d.add(at, before, after)
		return
	}
	was, is := map[string]any{}, map[string]any{}
	for i, key := range keysBefore {
		was[key] = before[i]
	}
	for i, key := range keysAfter {
		is[key] = after[i]
	}
	var stayedBefore, stayedAfter []string
	for _, key := range keysBefore {
		if _, stays := is[key]; stays {
			stayedBefore = append(stayedBefore, key)
		} else {
			d.add(at.element(key), was[key], nil)
		}
	}
	for _, key := range keysAfter {
		if _, stayed := was[key]; stayed {
			stayedAfter = append(stayedAfter, key)
			d.compare(at.element(key), was[key], is[key])
		} else {
			d.add(at.element(key), nil, is[key])
		}
	}
	if !slices.Equal(stayedBefore, stayedAfter) {
		d.add(at, keysBefore, keysAfter)
	}
}

// add records a change of one field.
func (d *differ) add(at position, before, after any) {
	// The Kinds leave out what is false.
	switch {
	case before == nil && after == true:
		before = false
	case before == true && after == nil:
		after = false
	}
	switch action := d.classify(at.names, after); {
	case d.action == "" || action == FlagArchived || action == FlagRestored:
		d.action = action
	case d.action != action && d.action != FlagArchived && d.action != FlagRestored:
		d.action = d.updated
	}
	if len(d.changes) == maxChanges {
		d.omitted++
		return
	}
	change := Change{Path: at.path}
	for _, side := range []struct {
		value any
		to    *json.RawMessage
	}{{before, &change.From}, {after, &change.To}} {
		if side.value == nil {
			continue
		}
		data, err := json.Marshal(side.value)
		if err != nil {
			d.err = err
			return
		}
		*side.to = data
	}
	d.changes = append(d.changes, change)
}
