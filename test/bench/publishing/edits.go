// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// measureEdits measures edits of single flags and, in turn with them, bare writes of the same bytes.
func (b *bench) measureEdits(ctx context.Context, r *result, edits int, flags []*v1alpha1.FeatureFlag) error {
	served, err := b.get(ctx, "flags-"+environmentName)
	if err != nil {
		return err
	}
	var writes int64
	for i := range edits {
		time.Sleep(quiet)
		before := b.writes.Load()
		revision := revisionOf(served)
		if err := b.edit(ctx, flags[i*len(flags)/edits].Name, strconv.Itoa(i)); err != nil {
			return err
		}
		begin := time.Now()
		if served, err = b.await(
			served.Name,
			func(configMap *corev1.ConfigMap) bool { return revisionOf(configMap) > revision },
		); err != nil {
			return err
		}
		r.edits = append(r.edits, time.Since(begin))
		time.Sleep(quiet)
		writes += b.writes.Load() - before
		took, err := b.bareWrites(ctx, served, i)
		if err != nil {
			return err
		}
		r.bare = append(r.bare, took)
	}
	r.writesPerEdit = float64(writes) / float64(edits)
	return nil
}

// edit changes what a flag publishes.
func (b *bench) edit(ctx context.Context, name, value string) error {
	flag := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	return b.client.Patch(
		ctx,
		flag,
		client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"metadata":{"edit":%q}}}`, value)),
	)
}

func (b *bench) get(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	configMap := &corev1.ConfigMap{}
	return configMap, b.client.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, configMap)
}

// bareWrites creates one ConfigMap and updates another, both with the bytes of a datafile, as a publish does at the
// least. It returns how long that takes until the event of the second.
func (b *bench) bareWrites(ctx context.Context, like *corev1.ConfigMap, i int) (time.Duration, error) {
	first := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("bare-%d", i)},
		Data:       like.Data,
		BinaryData: like.BinaryData,
	}
	second := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "bare"}}
	if err := b.client.Get(ctx, client.ObjectKeyFromObject(second), second); client.IgnoreNotFound(err) != nil {
		return 0, err
	} else if err != nil {
		if err := b.client.Create(ctx, second); err != nil {
			return 0, err
		}
	}
	second.Data, second.BinaryData = like.Data, like.BinaryData
	metav1.SetMetaDataAnnotation(&second.ObjectMeta, v1alpha1.RevisionAnnotation, strconv.Itoa(i+1))
	begin := time.Now()
	if err := b.client.Create(ctx, first); err != nil {
		return 0, err
	}
	if err := b.client.Update(ctx, second); err != nil {
		return 0, err
	}
	_, err := b.await("bare", func(configMap *corev1.ConfigMap) bool { return revisionOf(configMap) == int64(i+1) })
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	return took, b.client.Delete(ctx, first)
}

// measureBurst makes many edits as fast as the API server takes them and counts the revisions that they make.
func (b *bench) measureBurst(ctx context.Context, r *result, flags []*v1alpha1.FeatureFlag) error {
	time.Sleep(quiet)
	before, err := b.get(ctx, "flags-"+environmentName)
	if err != nil {
		return err
	}
	if err := inParallel(
		burst-1,
		func(i int) error { return b.edit(ctx, flags[i%len(flags)].Name, fmt.Sprintf("burst %d", i)) },
	); err != nil {
		return err
	}
	if err := b.edit(ctx, flags[0].Name, "last edit"); err != nil {
		return err
	}
	last, err := b.await(
		before.Name,
		func(configMap *corev1.ConfigMap) bool { return strings.Contains(nativeOf(configMap), "last edit") },
	)
	if err != nil {
		return err
	}
	r.revisions = revisionOf(last) - revisionOf(before)
	return nil
}

// nativeOf returns the native document of a datafile.
func nativeOf(configMap *corev1.ConfigMap) string {
	if compressed, ok := configMap.BinaryData[datafile.CompressedFileName]; ok {
		plain, err := datafile.Decompress(compressed)
		if err != nil {
			return err.Error()
		}
		return string(plain)
	}
	return configMap.Data[datafile.FileName]
}

// benchmarkCompile measures the compilation of one edit.
func benchmarkCompile(t *testing.B, flags []*v1alpha1.FeatureFlag) {
	environment := compile.NewEnvironment(environmentName, nil)
	for _, flag := range flags {
		environment.SetFlag(flag)
	}
	environment.Compile()
	edited := flags[len(flags)/2].DeepCopy()
	t.ReportAllocs()
	for i := 0; t.Loop(); i++ {
		edited.Spec.Metadata = map[string]string{"edit": strconv.Itoa(i)}
		environment.SetFlag(edited)
		environment.Compile()
	}
}
