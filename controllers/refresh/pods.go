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
		for _, name := range configMapsOf(volume) {
			if strings.HasPrefix(name, namePrefix) {
				trimmed.Spec.Volumes = append(trimmed.Spec.Volumes, configMapVolume(volume.Name, name))
			}
		}
	}
	if len(trimmed.Spec.Volumes) == 0 {
		return trimmed, nil
	}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if mounts := subPathMounts(&containers[i], trimmed.Spec.Volumes); len(mounts) > 0 && stays(pod, &containers[i]) {
				trimmed.Spec.Containers = append(
					trimmed.Spec.Containers,
					corev1.Container{Name: containers[i].Name, VolumeMounts: mounts},
				)
			}
		}
	}
	return trimmed, nil
}

// stays reports whether a container runs as long as its pod. An init container that ends before the others begin has
// nothing to update.
func stays(pod *corev1.Pod, container *corev1.Container) bool {
	isInit := slices.ContainsFunc(
		pod.Spec.InitContainers,
		func(init corev1.Container) bool { return init.Name == container.Name },
	)
	return !isInit || container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func configMapVolume(volume, configMap string) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
	}}
}

// configMapsOf are the names of the ConfigMaps in a volume.
func configMapsOf(volume *corev1.Volume) []string {
	var names []string
	if volume.ConfigMap != nil {
		names = append(names, volume.ConfigMap.Name)
	}
	if volume.Projected != nil {
		for i := range volume.Projected.Sources {
			if configMap := volume.Projected.Sources[i].ConfigMap; configMap != nil {
				names = append(names, configMap.Name)
			}
		}
	}
	return names
}

// subPathMounts are the mounts of a container by which a part of the volumes is mounted once and for all.
func subPathMounts(container *corev1.Container, volumes []corev1.Volume) []corev1.VolumeMount {
	var mounts []corev1.VolumeMount
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		if (mount.SubPath != "" || mount.SubPathExpr != "") &&
			slices.ContainsFunc(volumes, func(volume corev1.Volume) bool { return volume.Name == mount.Name }) {
			mounts = append(mounts, corev1.VolumeMount{Name: mount.Name, SubPath: mount.SubPath, SubPathExpr: mount.SubPathExpr})
		}
	}
	return mounts
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

// mountsBySubPath reports whether a container of a trimmed pod mounts the ConfigMap by subPath.
func mountsBySubPath(pod *corev1.Pod, configMap string) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(container corev1.Container) bool {
		return slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
			return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
				return volume.Name == mount.Name && volume.ConfigMap.Name == configMap
			})
		})
	})
}
