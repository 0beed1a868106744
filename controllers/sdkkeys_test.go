// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("SDK keys", func() {
	var namespace string
	var environment *v1alpha1.FlagEnvironment
	ctx := context.Background()

	BeforeEach(func() {
		namespace = makeNamespace()
		environment = builders.MakeEnvironment("production", namespace).Obj()
	})

	// keysAre asserts that the environment has so many pairs of keys, all confirmed and mirrored, and returns them.
	keysAre := func(g Gomega, count int) []v1alpha1.SDKKey {
		keys := fetch(g, environment).Status.SDKKeys
		g.ExpectWithOffset(1, keys).To(HaveLen(count))
		mirrored := datafileOf(g, namespace, "production").Annotations[v1alpha1.SDKKeysAnnotation]
		for _, key := range keys {
			g.ExpectWithOffset(1, key.Confirmed).To(BeTrue())
			g.ExpectWithOffset(1, mirrored).To(ContainSubstring(key.ServerHash))
		}
		return keys
	}
	secrets := func(g Gomega) []corev1.Secret {
		list := &corev1.SecretList{}
		g.ExpectWithOffset(1, k8s.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{
			v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
			v1alpha1.ProjectLabel:     namespace,
			v1alpha1.EnvironmentLabel: "production",
		})).To(Succeed())
		return list.Items
	}
	hash := func(key []byte) string {
		sum := sha256.Sum256(key)
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	matchSecret := func(g Gomega, key v1alpha1.SDKKey) {
		secret := fetch(g, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: key.SecretName}})
		g.ExpectWithOffset(1, string(secret.Data["server"])).To(MatchRegexp("^sdk_[0-9a-f]{64}$"))
		g.ExpectWithOffset(1, string(secret.Data["client"])).To(MatchRegexp("^cli_[0-9a-f]{64}$"))
		g.ExpectWithOffset(1, key.ServerHash).To(Equal(hash(secret.Data["server"])), "the server key would not be recognised")
		g.ExpectWithOffset(1, key.ClientHash).To(Equal(hash(secret.Data["client"])), "the client key would not be recognised")
	}
	annotate := func(annotation string, value time.Time) string {
		text := value.UTC().Format(time.RFC3339)
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			metav1.SetMetaDataAnnotation(&environment.ObjectMeta, annotation, text)
		})
		return text
	}
	// rotate asks for a pair and waits until the environment has so many.
	rotate := func(at time.Time, count int) []v1alpha1.SDKKey {
		GinkgoHelper()
		request := annotate(v1alpha1.RotateKeysRequestedAtAnnotation, at)
		var keys []v1alpha1.SDKKey
		Eventually(func(g Gomega) {
			keys = keysAre(g, count)
			g.Expect(environment.Status.LastHandledRotateAt).To(Equal(request))
		}).Should(Succeed())
		return keys
	}
	// age makes a pair of keys as old as a day, so that a test need not wait for the next second.
	age := func(secretName string) {
		GinkgoHelper()
		Eventually(func() error {
			fetch(Default, environment)
			for i := range environment.Status.SDKKeys {
				if key := &environment.Status.SDKKeys[i]; key.SecretName == secretName {
					key.CreatedAt = metav1.NewTime(key.CreatedAt.AddDate(0, 0, -1))
				}
			}
			return k8s.Status().Update(ctx, environment)
		}).Should(Succeed())
	}

	It("makes one pair for an environment, and no other after edits and a restart", func() {
		operator := startOperator()
		create(environment)
		var first []v1alpha1.SDKKey
		Eventually(func(g Gomega) { first = keysAre(g, 1) }).Should(Succeed())
		matchSecret(Default, first[0])
		Expect(secrets(Default)).To(HaveExactElements(And(
			HaveField("Immutable", HaveValue(BeTrue())), HaveField("OwnerReferences", BeEmpty()))))
		Expect(revisionOf(Default, namespace, "production")).To(BeEquivalentTo(1), "keys are no reason for a new revision")

		operator.stop()
		startOperator()
		create(onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		Expect(keysAre(Default, 1)).To(Equal(first))
		Expect(secrets(Default)).To(HaveLen(1))
	})

	It(
		"makes keys where nothing is published yet, and lets the garbage collector have them where datafiles go with the environment",
		func() {
			startOperator()
			environment.Spec.Publish.Mode, environment.Spec.DeletionPolicy = v1alpha1.PublishModeManual, v1alpha1.DeletionPolicyDelete
			create(environment)
			Eventually(func(g Gomega) {
				g.Expect(fetch(g, environment).Status.SDKKeys).To(HaveExactElements(HaveField("Confirmed", true)))
			}).Should(Succeed())
			Expect(
				secrets(Default),
			).To(
				HaveExactElements(HaveField("OwnerReferences", HaveExactElements(HaveField("UID", environment.UID)))),
			)
		},
	)

	It("rotates on request, once, and goes on accepting the previous keys until they are revoked", func() {
		startOperator()
		create(environment)
		var first []v1alpha1.SDKKey
		Eventually(func(g Gomega) { first = keysAre(g, 1) }).Should(Succeed())
		both := rotate(time.Now(), 2)
		Expect(both[1]).To(Equal(first[0]), "the previous keys stay, behind the new ones")
		matchSecret(Default, both[0])
		matchSecret(Default, both[1])

		age(first[0].SecretName)
		annotate(v1alpha1.RevokeKeysBeforeAnnotation, both[0].CreatedAt.Time)
		Eventually(func(g Gomega) {
			g.Expect(keysAre(g, 1)).To(Equal(both[:1]))
			g.Expect(
				datafileOf(g, namespace, "production").Annotations[v1alpha1.SDKKeysAnnotation],
			).NotTo(
				ContainSubstring(first[0].ServerHash),
			)
		}).Should(Succeed())
		Expect(secrets(Default)).To(HaveLen(2), "the operator may not delete Secrets")
	})

	It("makes new keys where all are revoked, and waits with what is to be revoked in the future", func() {
		startOperator()
		create(environment)
		var first []v1alpha1.SDKKey
		Eventually(func(g Gomega) { first = keysAre(g, 1) }).Should(Succeed())
		age(first[0].SecretName)
		annotate(v1alpha1.RevokeKeysBeforeAnnotation, time.Now())
		var second []v1alpha1.SDKKey
		Eventually(func(g Gomega) {
			second = keysAre(g, 1)
			g.Expect(second[0].SecretName).NotTo(Equal(first[0].SecretName))
		}).Should(Succeed())
		matchSecret(Default, second[0])

		due := annotate(v1alpha1.RevokeKeysBeforeAnnotation, time.Now().Add(4*time.Second))
		both := rotate(time.Now(), 2)
		Expect(both[1]).To(Equal(second[0]), "an annotation for the future must revoke nothing yet")
		Eventually(func(g Gomega) {
			keys := keysAre(g, 1)
			g.Expect(
				keys[0].CreatedAt.UTC().Format(time.RFC3339) >= due,
			).To(
				BeTrue(),
				"keys from before that time end when it comes",
			)
		}).Should(Succeed())
	})

	It("refuses a fourth pair until something is revoked", func() {
		startOperator()
		create(environment)
		Eventually(func(g Gomega) { keysAre(g, 1) }).Should(Succeed())
		begin := time.Now()
		rotate(begin, 2)
		three := rotate(begin.Add(time.Second), 3)
		request := annotate(v1alpha1.RotateKeysRequestedAtAnnotation, begin.Add(2*time.Second))
		Eventually(func(g Gomega) {
			events := &eventsv1.EventList{}
			g.Expect(k8s.List(ctx, events, client.InNamespace(namespace))).To(Succeed())
			g.Expect(
				events.Items,
			).To(
				ContainElement(And(HaveField("Reason", v1alpha1.SDKKeysLimitReason), HaveField("Type", corev1.EventTypeWarning))),
			)
		}).Should(Succeed())
		Expect(keysAre(Default, 3)).To(Equal(three), "keys that are in use end only when somebody says so")
		Expect(environment.Status.LastHandledRotateAt).NotTo(Equal(request))

		age(three[2].SecretName)
		annotate(v1alpha1.RevokeKeysBeforeAnnotation, three[2].CreatedAt.Time)
		Eventually(func(g Gomega) {
			keys := keysAre(g, 3)
			g.Expect(keys[1:]).To(Equal(three[:2]))
			g.Expect(environment.Status.LastHandledRotateAt).To(Equal(request))
		}).Should(Succeed())
	})

	It("finds the keys again where the status is lost, also with the environment itself", func() {
		operator := startOperator()
		create(environment)
		Eventually(func(g Gomega) { keysAre(g, 1) }).Should(Succeed())
		both := rotate(time.Now(), 2)
		request := environment.Status.LastHandledRotateAt

		By("removing the status")
		Expect(
			k8s.Status().Patch(ctx, environment, client.RawPatch(types.MergePatchType, []byte(`{"status":null}`))),
		).To(
			Succeed(),
		)
		Eventually(func(g Gomega) {
			g.Expect(keysAre(g, 2)).To(Equal(both))
			g.Expect(environment.Status.LastHandledRotateAt).To(Equal(request))
		}).Should(Succeed())

		By("creating the environment again")
		Expect(k8s.Delete(ctx, environment)).To(Succeed())
		operator.stop()
		startOperator()
		environment = builders.MakeEnvironment("production", namespace).Obj()
		create(environment)
		Eventually(func(g Gomega) { g.Expect(keysAre(g, 2)).To(Equal(both)) }).Should(Succeed())
		Expect(secrets(Default)).To(HaveLen(2))
	})

	It("goes on accepting keys whose Secret somebody has deleted, and leaves it deleted", func() {
		operator := startOperator()
		create(environment)
		var first []v1alpha1.SDKKey
		Eventually(func(g Gomega) { first = keysAre(g, 1) }).Should(Succeed())
		Expect(
			k8s.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: first[0].SecretName}}),
		).To(
			Succeed(),
		)
		operator.stop()
		startOperator()
		both := rotate(time.Now(), 2)
		Expect(both[1]).To(Equal(first[0]))
		Expect(secrets(Default)).To(HaveExactElements(HaveField("Name", both[0].SecretName)))
	})

	It("ends up with one valid pair whichever of its writes fails, and a restart right after it", func() {
		for failing, done := 0, false; !done; failing++ {
			Expect(failing).To(BeNumerically("<", 20), "an environment should need few writes")
			namespace = makeNamespace()
			environment = builders.MakeEnvironment("production", namespace).Obj()
			operator := startOperator()
			refused := operator.faults.refuseAfter(failing, namespace)
			create(environment)
			select {
			case <-refused:
			case <-time.After(time.Second):
				done = true
			}
			operator.stop()
			operator = startOperator()
			Eventually(func(g Gomega) { matchSecret(g, keysAre(g, 1)[0]) }).Should(Succeed())
			operator.stop()
			Expect(len(secrets(Default))).To(BeNumerically("<=", 2), "a crash leaves at most one Secret that is not valid")
		}
	})

	It("serves nobody by a key that another environment has too, and tells both", func() {
		startOperator()
		create(environment)
		keys := func() (keys []v1alpha1.SDKKey) {
			GinkgoHelper()
			Eventually(func(g Gomega) { keys = keysAre(g, 1) }).Should(Succeed())
			return keys
		}()
		elsewhere := makeNamespace()
		thief := builders.MakeEnvironment("production", elsewhere).Obj()
		create(thief)
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, thief).Status.SDKKeys).To(HaveExactElements(HaveField("Confirmed", true)))
		}).Should(Succeed())

		By("giving an environment of another project the hash of the client key alone, for hashes are no secrets")
		Eventually(func() error {
			before := fetch(Default, thief).DeepCopy()
			thief.Status.SDKKeys[0].ClientHash = keys[0].ClientHash
			return k8s.Status().Patch(ctx, thief, client.MergeFrom(before))
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			for _, project := range []string{namespace, elsewhere} {
				g.Expect(eventsOf(g, project, v1alpha1.SDKKeySharedReason)).To(
					ContainElement(HaveField("Note", ContainSubstring("rotate the keys"))), project)
			}
		}).Should(Succeed())
	})
})
