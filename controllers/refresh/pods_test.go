// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	container := func(name string, mounts ...corev1.VolumeMount) corev1.Container {
		return corev1.Container{Name: name, Image: "image", VolumeMounts: mounts}
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
			if got := mountsBySubPath(trimmed, "flags-production"); got != tc.wantSubPath {
				t.Errorf("mounts by subPath: %t", got)
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
