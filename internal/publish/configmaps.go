// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

func (p *Publisher) servedConfigMap(environment *v1alpha1.FlagEnvironment, served *Served) *corev1.ConfigMap {
	configMap := p.configMap(
		environment,
		served,
		v1alpha1.DatafileServed,
		served.Files.Only(environment.Spec.Datafile.Formats),
	)
	configMap.Name = environment.DatafileName()
	configMap.Labels[v1alpha1.DeletionPolicyLabel] = string(environment.Spec.DeletionPolicy)
	configMap.Labels[v1alpha1.ProductionLabel] = strconv.FormatBool(environment.Spec.Production)
	configMap.Annotations[configTrackingAnnotation] = "disabled"
	mark(configMap, served)
	if keys := KeysOf(&environment.Status); len(keys.Keys) > 0 {
		configMap.Annotations[v1alpha1.SDKKeysAnnotation] = keys.Encode(p.Seal, client.ObjectKeyFromObject(environment))
	}
	if served.object.Name == configMap.Name {
		keepTheirs(configMap, &served.object)
	}
	return configMap
}

// keepTheirs makes configMap an update of what was seen: what others have added to the object stays.
func keepTheirs(configMap *corev1.ConfigMap, seen *metav1.ObjectMeta) {
	theirs := maps.Clone(seen.Annotations)
	delete(theirs, v1alpha1.FlagdIncompleteAnnotation)
	delete(theirs, v1alpha1.SealAnnotation)
	delete(theirs, v1alpha1.BreakGlassAnnotation)
	delete(theirs, v1alpha1.PinnedRevisionAnnotation)
	configMap.Annotations = merge(theirs, configMap.Annotations)
	configMap.Labels = merge(seen.Labels, configMap.Labels)
	configMap.OwnerReferences, configMap.Finalizers = seen.OwnerReferences, seen.Finalizers
	configMap.ResourceVersion = seen.ResourceVersion
}

func (p *Publisher) historyConfigMap(environment *v1alpha1.FlagEnvironment, served *Served) *corev1.ConfigMap {
	configMap := p.configMap(environment, served, v1alpha1.DatafileHistory, served.Files)
	configMap.Name = environment.HistoryName(served.Revision)
	configMap.Labels[v1alpha1.ProductionLabel] = strconv.FormatBool(environment.Spec.Production)
	configMap.Immutable = new(true)
	mark(configMap, served)
	return configMap
}

// mark says who wrote a revision without the operator, where somebody has. In the history it tells an operator that has
// lost the served ConfigMap that nothing else is to be published.
func mark(configMap *corev1.ConfigMap, served *Served) {
	if served.BreakGlass != nil {
		configMap.Annotations[v1alpha1.BreakGlassAnnotation] = served.BreakGlass.String()
	}
}

func (p *Publisher) configMap(
	environment *v1alpha1.FlagEnvironment,
	served *Served,
	kind string,
	files Files,
) *corev1.ConfigMap {
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: environment.Namespace,
			Labels:    ownership.DatafileLabels(client.ObjectKeyFromObject(environment), kind),
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation:    strconv.FormatInt(served.Revision, 10),
				v1alpha1.DigestAnnotation:      served.Digest,
				v1alpha1.PublishedAtAnnotation: served.PublishedAt.Format(time.RFC3339),
			},
		},
		Data:       files.Text,
		BinaryData: files.Binary,
	}
	if !served.FlagdComplete {
		configMap.Annotations[v1alpha1.FlagdIncompleteAnnotation] = ownership.Incomplete(
			contentsOf(served),
			served.Files.Text[flagd.FileName],
		)
	}
	if served.seal != "" {
		configMap.Annotations[v1alpha1.SealAnnotation] = served.seal
	}
	if served.PinnedRevision > 0 {
		configMap.Annotations[v1alpha1.PinnedRevisionAnnotation] = strconv.FormatInt(served.PinnedRevision, 10)
	}
	return configMap
}

func contentsOf(served *Served) *datafile.Contents {
	if served.Contents == nil {
		return &datafile.Contents{}
	}
	return served.Contents
}

// pinnedRevisionOf is the pinned revision that a datafile is with flags forced off, and 0 where it is none.
func pinnedRevisionOf(configMap *corev1.ConfigMap) int64 {
	pinned, err := strconv.ParseInt(configMap.Annotations[v1alpha1.PinnedRevisionAnnotation], 10, 64)
	if err != nil || pinned < 1 {
		return 0
	}
	return pinned
}

func filesOf(configMap *corev1.ConfigMap) Files {
	return Files{Text: configMap.Data, Binary: configMap.BinaryData}
}

func merge(theirs, ours map[string]string) map[string]string {
	merged := maps.Clone(theirs)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, ours)
	return merged
}
