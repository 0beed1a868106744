// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/mounts"
)

// mountedDatafiles is the index by which pods are found that mount a ConfigMap of a name.
const mountedDatafiles = "spec.volumes.configMap.name"

// namePrefix begins the name of every datafile.
const namePrefix = "flags-"

// trim leaves of a pod in the cache only what says whether and how it mounts datafiles. Sources of projected volumes
// become volumes of their own, under the name of the projected one.
func trim(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	trimmed := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:         pod.Namespace,
			Name:              pod.Name,
			UID:               pod.UID,
			ResourceVersion:   pod.ResourceVersion,
			DeletionTimestamp: pod.DeletionTimestamp,
		},
		Spec:   corev1.PodSpec{NodeName: pod.Spec.NodeName},
		Status: corev1.PodStatus{Phase: pod.Status.Phase},
	}
	if revision, ok := pod.Annotations[v1alpha1.RevisionAnnotation]; ok {
		trimmed.Annotations = map[string]string{v1alpha1.RevisionAnnotation: revision}
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		for _, name := range mounts.ConfigMaps(volume) {
			if strings.HasPrefix(name, namePrefix) {
				trimmed.Spec.Volumes = append(trimmed.Spec.Volumes, configMapVolume(volume.Name, name))
			}
		}
	}
	if len(trimmed.Spec.Volumes) == 0 {
		return trimmed, nil
	}
	for _, container := range mounts.Staying(pod) {
		if bySubPath := mounts.BySubPath(container, trimmed.Spec.Volumes); len(bySubPath) > 0 {
			trimmed.Spec.Containers = append(
				trimmed.Spec.Containers,
				corev1.Container{Name: container.Name, VolumeMounts: bySubPath},
			)
		}
	}
	return trimmed, nil
}

func configMapVolume(volume, configMap string) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
	}}
}

// indexMounted gives the values of mountedDatafiles for a trimmed pod.
func indexMounted(object client.Object) []string {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil
	}
	var names []string
	for i := range pod.Spec.Volumes {
		if name := pod.Spec.Volumes[i].ConfigMap.Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// hasMounted reports whether a pod may have mounted its volumes before now and still needs them: it runs, or it is on a
// node, where its volumes are mounted before its images are pulled.
func hasMounted(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil &&
		(pod.Status.Phase == corev1.PodRunning || pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName != "")
}
