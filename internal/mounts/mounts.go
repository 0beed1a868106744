// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mounts says how pods mount ConfigMaps.
package mounts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// ConfigMaps are the names of the ConfigMaps in a volume.
func ConfigMaps(volume *corev1.Volume) []string {
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

// BySubPath are the mounts of a container by which a part of the volumes is mounted once and for all: kubelet never
// updates what is mounted by subPath (https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath).
func BySubPath(container *corev1.Container, volumes []corev1.Volume) []corev1.VolumeMount {
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

// Staying are the containers of a pod that run as long as it does: an init container that ends before the others begin
// has nothing to update.
func Staying(pod *corev1.Pod) []*corev1.Container {
	var staying []*corev1.Container
	for i := range pod.Spec.Containers {
		staying = append(staying, &pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			staying = append(staying, container)
		}
	}
	return staying
}

// FrozenAt reports whether a container of a pod mounts a ConfigMap by subPath, and so keeps the content that it had
// when the pod started.
func FrozenAt(pod *corev1.Pod, configMap string) bool {
	var holding []corev1.Volume
	for i := range pod.Spec.Volumes {
		if slices.Contains(ConfigMaps(&pod.Spec.Volumes[i]), configMap) {
			holding = append(holding, pod.Spec.Volumes[i])
		}
	}
	return slices.ContainsFunc(Staying(pod), func(container *corev1.Container) bool {
		return len(BySubPath(container, holding)) > 0
	})
}
