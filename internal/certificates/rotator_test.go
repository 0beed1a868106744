// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const serviceHost = "jackstaff-webhook.jackstaff-system.svc"

var start = time.Date(2027, time.March, 1, 0, 0, 0, 0, time.UTC)

// cluster is an API server that holds what config/webhook installs.
func cluster() client.WithWatch {
	service := admissionregistrationv1.WebhookClientConfig{
		Service: &admissionregistrationv1.ServiceReference{Namespace: "jackstaff-system", Name: "jackstaff-webhook"},
	}
	return fake.NewClientBuilder().WithObjects(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "jackstaff-system", Name: "jackstaff-webhook-certificate"}},
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "jackstaff"},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "one.jackstaff.dev", ClientConfig: service}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "jackstaff"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{
				{Name: "one.jackstaff.dev", ClientConfig: service},
				{Name: "two.jackstaff.dev", ClientConfig: service},
			},
		},
	).Build()
}

func replica(c client.Client, clock *testingclock.FakeClock) *Rotator {
	return &Rotator{
		Client: c, Clock: clock, Mutating: "jackstaff", Validating: "jackstaff",
		Secret: types.NamespacedName{Namespace: "jackstaff-system", Name: "jackstaff-webhook-certificate"},
	}
}

func mustPass(t *testing.T, r *Rotator) {
	t.Helper()
	if err := r.pass(t.Context()); err != nil {
		t.Fatalf("pass: %v", err)
	}
}

// verify calls the webhooks of a replica as the API server would, by every configuration.
func verify(t *testing.T, c client.Client, r *Rotator, host string) error {
	t.Helper()
	certificate, err := r.GetCertificate(nil)
	if err != nil {
		return err
	}
	mutating, validating := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	for _, configuration := range []client.Object{mutating, validating} {
		if err := c.Get(t.Context(), types.NamespacedName{Name: "jackstaff"}, configuration); err != nil {
			t.Fatal(err)
		}
	}
	var bundles [][]byte
	for _, w := range mutating.Webhooks {
		bundles = append(bundles, w.ClientConfig.CABundle)
	}
	for _, w := range validating.Webhooks {
		bundles = append(bundles, w.ClientConfig.CABundle)
	}
	for _, bundle := range bundles {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(bundle) {
			return errors.New("the bundle holds no authority")
		}
		options := x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: r.Clock.Now()}
		if _, err := certificate.Leaf.Verify(options); err != nil {
			return err
		}
	}
	return nil
}

func secretVersion(t *testing.T, c client.Client) string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := c.Get(
		t.Context(),
		types.NamespacedName{Namespace: "jackstaff-system", Name: "jackstaff-webhook-certificate"},
		secret,
	); err != nil {
		t.Fatal(err)
	}
	return secret.ResourceVersion
}

func TestFirstPassServes(t *testing.T) {
	c := cluster()
	r := replica(c, testingclock.NewFakeClock(start))
	if _, err := r.GetCertificate(nil); err == nil {
		t.Error("a certificate is served before there is one")
	}
	mustPass(t, r)
	if err := verify(t, c, r, serviceHost); err != nil {
		t.Errorf("the API server cannot call the webhooks after the first pass: %v", err)
	}
}

// OpenSSL, and so curl, refuses a certificate that has the name of its issuer.
func TestCertificateIsNotNamedLikeItsAuthority(t *testing.T) {
	made, err := issue([]string{serviceHost}, start)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := made.check([]string{serviceHost}, start, renewal)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Leaf.Subject.String() == certificate.Leaf.Issuer.String() {
		t.Errorf("subject and issuer are both %s", certificate.Leaf.Subject)
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	writes := 0
	c := interceptor.NewClient(cluster(), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			writes++
			return c.Update(ctx, object, options...)
		},
	})
	r := replica(c, testingclock.NewFakeClock(start))
	mustPass(t, r)
	if diff := cmp.Diff(3, writes); diff != "" {
		t.Errorf("the first pass writes the Secret and two configurations (-want +got):\n%s", diff)
	}
	mustPass(t, r)
	mustPass(t, replica(c, testingclock.NewFakeClock(start)))
	if diff := cmp.Diff(3, writes); diff != "" {
		t.Errorf("later passes, and those of another replica, write nothing (-want +got):\n%s", diff)
	}
}

func TestRenewalKeepsEveryReplicaInService(t *testing.T) {
	c := cluster()
	clock := testingclock.NewFakeClock(start)
	first, second := replica(c, clock), replica(c, clock)
	mustPass(t, first)
	mustPass(t, second)
	before := first.serving.Load()

	clock.Step(lifetime - renewal - time.Minute)
	mustPass(t, first)
	if first.serving.Load() != before && !first.serving.Load().Leaf.Equal(before.Leaf) {
		t.Error("the certificate was renewed too early")
	}

	clock.Step(2 * time.Minute)
	mustPass(t, first)
	if !first.serving.Load().Leaf.Equal(before.Leaf) {
		t.Error("the new certificate is served in the pass that makes it trusted, before API servers know of it")
	}
	for _, r := range []*Rotator{first, second} {
		if err := verify(t, c, r, serviceHost); err != nil {
			t.Errorf("a replica with the older certificate is out of service during renewal: %v", err)
		}
	}

	mustPass(t, first)
	mustPass(t, second)
	for _, r := range []*Rotator{first, second} {
		if r.serving.Load().Leaf.Equal(before.Leaf) {
			t.Error("the older certificate is still served after renewal")
		}
		if err := verify(t, c, r, serviceHost); err != nil {
			t.Errorf("a replica is out of service after renewal: %v", err)
		}
	}
}

func TestLostBundleIsRestored(t *testing.T) {
	c := cluster()
	r := replica(c, testingclock.NewFakeClock(start))
	mustPass(t, r)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := c.Get(t.Context(), types.NamespacedName{Name: "jackstaff"}, configuration); err != nil {
		t.Fatal(err)
	}
	configuration.Webhooks[1].ClientConfig.CABundle = nil
	if err := c.Update(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	mustPass(t, r)
	if err := verify(t, c, r, serviceHost); err != nil {
		t.Errorf("the bundle that another tool removed was not restored: %v", err)
	}
}

func TestUnusableSecretIsReplaced(t *testing.T) {
	c := cluster()
	clock := testingclock.NewFakeClock(start)
	secret := &corev1.Secret{}
	if err := c.Get(
		t.Context(),
		types.NamespacedName{Namespace: "jackstaff-system", Name: "jackstaff-webhook-certificate"},
		secret,
	); err != nil {
		t.Fatal(err)
	}
	secret.Data = map[string][]byte{"tls.crt": []byte("no certificate"), "ca.crt": []byte("no authority")}
	if err := c.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r := replica(c, clock)
	mustPass(t, r)
	if err := verify(t, c, r, serviceHost); err != nil {
		t.Errorf("a Secret that holds no certificate keeps the webhooks out of service: %v", err)
	}
}

func TestCertificateFollowsTheHosts(t *testing.T) {
	for name, tc := range map[string]struct{ url, host string }{
		"a name":     {url: "https://localhost:9443/validate", host: "localhost"},
		"an address": {url: "https://127.0.0.1:9443/validate", host: "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster()
			r := replica(c, testingclock.NewFakeClock(start))
			mustPass(t, r)
			configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
			if err := c.Get(t.Context(), types.NamespacedName{Name: "jackstaff"}, configuration); err != nil {
				t.Fatal(err)
			}
			configuration.Webhooks[0].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &tc.url}
			if err := c.Update(t.Context(), configuration); err != nil {
				t.Fatal(err)
			}
			mustPass(t, r)
			mustPass(t, r)
			for _, host := range []string{tc.host, serviceHost} {
				if err := verify(t, c, r, host); err != nil {
					t.Errorf("the API server cannot call the webhooks at %s: %v", host, err)
				}
			}
		})
	}
}

func TestSlowerReplicaTakesTheCertificateOfTheFaster(t *testing.T) {
	c := cluster()
	clock := testingclock.NewFakeClock(start)
	fast := replica(c, clock)
	raced := false
	slow := replica(interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, w client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if _, isSecret := object.(*corev1.Secret); isSecret && !raced {
				raced = true
				mustPass(t, fast)
			}
			return w.Update(ctx, object, options...)
		},
	}), clock)
	if err := slow.pass(t.Context()); !apierrors.IsConflict(err) {
		t.Fatalf("pass of the slower replica: %v, want a conflict", err)
	}
	version := secretVersion(t, c)
	mustPass(t, slow)
	if diff := cmp.Diff(version, secretVersion(t, c)); diff != "" {
		t.Errorf("the slower replica replaced the certificate of the faster (-want +got):\n%s", diff)
	}
	if !slow.serving.Load().Leaf.Equal(fast.serving.Load().Leaf) {
		t.Error("the replicas serve different certificates")
	}
}

// Whoever deletes the Secret must not keep replicas that start afterwards from answering the API server, nor take those
// out of service that serve the certificate of the Secret that is gone.
func TestDeletedSecretIsMadeAgain(t *testing.T) {
	c := cluster()
	clock := testingclock.NewFakeClock(start)
	old, fresh := replica(c, clock), replica(c, clock)
	mustPass(t, old)
	if err := c.Delete(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "jackstaff-system", Name: "jackstaff-webhook-certificate"},
	}); err != nil {
		t.Fatal(err)
	}
	mustPass(t, fresh)
	for name, r := range map[string]*Rotator{"the running": old, "the fresh": fresh} {
		if err := verify(t, c, r, serviceHost); err != nil {
			t.Errorf("%s replica is out of service: %v", name, err)
		}
	}
	mustPass(t, old)
	mustPass(t, old)
	if !old.serving.Load().Leaf.Equal(fresh.serving.Load().Leaf) {
		t.Error("the replicas serve different certificates")
	}
}

// A certificate that was made while the clock was ahead is trusted by nobody until that time comes.
func TestCertificateFromTheFutureIsReplaced(t *testing.T) {
	c := cluster()
	ahead := replica(c, testingclock.NewFakeClock(start.Add(100*24*time.Hour)))
	mustPass(t, ahead)
	r := replica(c, testingclock.NewFakeClock(start))
	mustPass(t, r)
	mustPass(t, r)
	if err := verify(t, c, r, serviceHost); err != nil {
		t.Errorf("the API server cannot call the webhooks until the time comes: %v", err)
	}
}

// What the API server refuses as a bundle would be written and refused again every second.
func TestGarbledAuthoritiesAreLeftOut(t *testing.T) {
	for name, garble := range map[string]func(bundle []byte) []byte{
		"a block that is no certificate": func(b []byte) []byte {
			return append(b, []byte("-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n")...)
		},
		"text behind":  func(b []byte) []byte { return append(b, []byte("garbage")...) },
		"text instead": func([]byte) []byte { return []byte("garbage") },
		"cut off":      func(b []byte) []byte { return b[:len(b)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster()
			r := replica(c, testingclock.NewFakeClock(start))
			mustPass(t, r)
			secret := &corev1.Secret{}
			if err := c.Get(t.Context(), r.Secret, secret); err != nil {
				t.Fatal(err)
			}
			secret.Data["ca.crt"] = garble(secret.Data["ca.crt"])
			if err := c.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			mustPass(t, r)
			version := secretVersion(t, c)
			mustPass(t, r)
			if got := secretVersion(t, c); got != version {
				t.Error("the Secret is written again and again")
			}
			if err := c.Get(t.Context(), r.Secret, secret); err != nil {
				t.Fatal(err)
			}
			if _, err := parse(secret.Data["ca.crt"]); err != nil {
				t.Errorf("the bundle stays garbled: %v", err)
			}
			if err := verify(t, c, r, serviceHost); err != nil {
				t.Errorf("the webhooks are out of service: %v", err)
			}
		})
	}
}

// Clients of REST read ca.crt once in a while. Whoever does so within the overlap knows every certificate that comes.
func TestNextAuthorityIsTrustedBeforeItServes(t *testing.T) {
	c := cluster()
	clock := testingclock.NewFakeClock(start)
	r := replica(c, clock)
	mustPass(t, r)
	before := r.serving.Load().Leaf
	clock.Step(lifetime - renewal - overlap + time.Minute)
	mustPass(t, r)
	mustPass(t, r)
	if !r.serving.Load().Leaf.Equal(before) {
		t.Fatal("the next certificate serves before clients know its authority")
	}
	secret := &corev1.Secret{}
	if err := c.Get(t.Context(), r.Secret, secret); err != nil {
		t.Fatal(err)
	}
	pinned := x509.NewCertPool()
	if !pinned.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		t.Fatal("there is no authority to pin")
	}
	version := secretVersion(t, c)
	clock.Step(overlap - 2*time.Minute)
	mustPass(t, r)
	if got := secretVersion(t, c); got != version {
		t.Error("the next certificate is made again")
	}
	clock.Step(2 * time.Minute)
	mustPass(t, r)
	mustPass(t, r)
	after := r.serving.Load().Leaf
	if after.Equal(before) {
		t.Fatal("the certificate was not renewed")
	}
	if _, err := after.Verify(
		x509.VerifyOptions{Roots: pinned, DNSName: serviceHost, CurrentTime: clock.Now()},
	); err != nil {
		t.Errorf("a client that read the authorities in the overlap does not know the new certificate: %v", err)
	}
}
