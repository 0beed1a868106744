// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/internal/mounts"
)

func TestPodsInTheCacheTellHowTheyMountDatafiles(t *testing.T) {
	whole := configMapVolume("flags", "flags-production")
	projected := corev1.Volume{
		Name: "all",
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{
				ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "flags-production"}},
			},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{Secret: &corev1.SecretProjection{}},
		}}},
	}
	container := func(name string, at ...corev1.VolumeMount) corev1.Container {
		return corev1.Container{Name: name, Image: "image", VolumeMounts: at}
	}
	sidecar := container("sidecar", corev1.VolumeMount{Name: "flags", SubPathExpr: "$(FILE)"})
	sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	for name, tc := range map[string]struct {
		spec        corev1.PodSpec
		wantMounted []string
		wantSubPath bool
	}{
		"nothing":              {corev1.PodSpec{Containers: []corev1.Container{container("web")}}, nil, false},
		"a directory":          {corev1.PodSpec{Volumes: []corev1.Volume{whole}, Containers: []corev1.Container{container("web", corev1.VolumeMount{Name: "flags"})}}, []string{"flags-production"}, false},
		"a projected volume":   {corev1.PodSpec{Volumes: []corev1.Volume{projected}}, []string{"flags-production"}, false},
		"the same twice":       {corev1.PodSpec{Volumes: []corev1.Volume{whole, projected}}, []string{"flags-production"}, false},
		"another ConfigMap":    {corev1.PodSpec{Volumes: []corev1.Volume{configMapVolume("settings", "settings")}}, nil, false},
		"a file by subPath":    {corev1.PodSpec{Volumes: []corev1.Volume{projected}, Containers: []corev1.Container{container("web", corev1.VolumeMount{Name: "all", SubPath: "flagd.json"})}}, []string{"flags-production"}, true},
		"subPath of another":   {corev1.PodSpec{Volumes: []corev1.Volume{whole}, Containers: []corev1.Container{container("web", corev1.VolumeMount{Name: "settings", SubPath: "a"})}}, []string{"flags-production"}, false},
		"subPath in a sidecar": {corev1.PodSpec{Volumes: []corev1.Volume{whole}, InitContainers: []corev1.Container{sidecar}}, []string{"flags-production"}, true},
		"subPath in an init container that ends": {corev1.PodSpec{Volumes: []corev1.Volume{whole}, InitContainers: []corev1.Container{
			container("init", corev1.VolumeMount{Name: "flags", SubPath: "flagd.json"})}}, []string{"flags-production"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{"example.com/large": "…"}},
				Spec:       tc.spec,
			}
			once, err := trim(pod)
			if err != nil {
				t.Fatal(err)
			}
			trimmed, _ := once.(*corev1.Pod)
			if diff := cmp.Diff(tc.wantMounted, indexMounted(trimmed)); diff != "" {
				t.Errorf("the pod is found by other ConfigMaps than it mounts (-want +got):\n%s", diff)
			}
			for what, pod := range map[string]*corev1.Pod{"pod": pod, "trimmed pod": trimmed} {
				if got := mounts.FrozenAt(pod, "flags-production"); got != tc.wantSubPath {
					t.Errorf("the %s mounts by subPath: %t", what, got)
				}
			}
			if trimmed.Annotations != nil {
				t.Errorf("annotations take memory that nothing reads: %v", trimmed.Annotations)
			}
			if twice, err := trim(trimmed); err != nil || !cmp.Equal(once, twice) {
				t.Errorf("trimming what is trimmed changes it (-once +twice), error %v:\n%s", err, cmp.Diff(once, twice))
			}
		})
	}
}
