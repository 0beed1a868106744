// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

// startReplica runs what serves on every replica, without any controller, until the test ends.
func startReplica() *store.Store {
	GinkgoHelper()
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(),
		Client:  controllers.ClientOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
		// Another replica is the leader.
		LeaderElection: true, LeaderElectionID: "never-elected", LeaderElectionNamespace: "no-such-namespace",
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	replica := store.NewStore()
	Expect(replica.SetupWithManager(mgr)).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Eventually(done).WithTimeout(30 * time.Second).Should(Receive(Succeed()))
	})
	return replica
}

var _ = Describe("Serving on every replica", func() {
	It(
		"opens what is published with the keys of the Secret, and follows revisions until the environment is deleted",
		func() {
			ctx, namespace := context.Background(), makeNamespace()
			startOperator()
			environment := builders.MakeEnvironment("production", namespace).Obj()
			create(environment, onFlag("checkout", namespace))
			Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())

			replica := startReplica()
			Eventually(replica.Synced).Should(BeTrue())
			secret := &corev1.Secret{}
			Expect(
				k8s.Get(
					ctx,
					client.ObjectKey{Namespace: namespace, Name: fetch(Default, environment).Status.SDKKeys[0].SecretName},
					secret,
				),
			).To(
				Succeed(),
			)
			held, kind, found := replica.ByKey(string(secret.Data["client"]))
			Expect(found).To(BeTrue(), "ready, and the key is unknown")
			Expect(kind).To(Equal(store.ClientKey))
			Expect(held.Revision().Number).To(Equal(revisionOf(Default, namespace, "production")))
			Expect(held.Revision().Digest).To(Equal(environment.Status.PublishedDigest))
			serves := func(variation string) {
				GinkgoHelper()
				result := held.ClientEngine().Evaluate("checkout", nil, time.Now())
				Expect(result.Variation.Key).To(Equal(variation))
			}
			serves("on")

			changed := held.Changed()
			edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
			Eventually(changed).Should(BeClosed())
			serves("off")

			Expect(k8s.Delete(ctx, environment)).To(Succeed())
			Eventually(held.Gone).Should(BeTrue())
			_, _, found = replica.ByKey(string(secret.Data["server"]))
			Expect(found).To(BeFalse())
			serves("off")
		},
	)
})
