// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	head     = `"apiVersion":"flags.jackstaff.dev/v1alpha1","metadata":{"name":"new-cart","namespace":"shop","uid":"1"}`
	goodFlag = `{"kind":"FeatureFlag",` + head + `,"spec":{"type":"boolean","defaultVariation":"off","variations":[{"key":"off","value":false}]}}`
	badFlag  = `{"kind":"FeatureFlag",` + head + `,"spec":{"key":"cart","archived":true,"variations":"on and off"}}`
)

func TestObjectKeepsWhatFits(t *testing.T) {
	for name, tc := range map[string]struct {
		raw      string
		wantLost string // A path, and empty where the object is whole.
		check    func(v1alpha1.Object) bool
		// wantStatusLost is true where the status is lost, which alone is no problem.
		wantStatusLost bool
	}{
		"a flag that fits": {raw: goodFlag},
		"another type": {raw: badFlag, wantLost: "spec.variations", check: func(o v1alpha1.Object) bool {
			flag := o.(*v1alpha1.FeatureFlag)
			return flag.Key() == "cart" && flag.Spec.Archived && len(flag.Spec.Variations) == 0
		}},
		"a spec that is a list": {
			raw:      `{"kind":"FeatureFlag",` + head + `,"spec":[]}`,
			wantLost: "spec",
			check:    func(o v1alpha1.Object) bool { return o.GetUID() == "1" },
		},
		"a time in no form": {
			raw:      `{"kind":"FeatureFlag",` + head + `,"spec":{"environments":[{"name":"p","schedule":{"enableAt":"soon"}}]}}`,
			wantLost: "spec.environments",
		},
		"the status of a flag is made again": {
			raw: `{"kind":"FeatureFlag",` + head + `,"spec":{"type":"boolean"},"status":{"conditions":"all"}}`,
			check: func(o v1alpha1.Object) bool {
				return o.(*v1alpha1.FeatureFlag).Spec.Type == "boolean"
			},
			wantStatusLost: true,
		},
		"the status of an environment is made again": {
			raw: `{"kind":"FlagEnvironment",` + head + `,"status":{"sdkKeys":"none"}}`, wantStatusLost: true,
		},
		"a lost status that somebody claims": {
			raw: strings.Replace(`{"kind":"FlagEnvironment",`+head+`}`, `"uid"`,
				`"annotations":{"`+v1alpha1.UndecodableAnnotation+`":"status\\n"},"uid"`, 1),
		},
		"a lost status next to a lost spec": {
			raw:      `{"kind":"FlagEnvironment",` + head + `,"spec":[],"status":{"sdkKeys":"none"}}`,
			wantLost: "spec", wantStatusLost: true,
		},
		"production that cannot be read is production": {
			raw:      `{"kind":"FlagEnvironment",` + head + `,"spec":{"production":{"since":1}}}`,
			wantLost: "spec.production",
			check: func(o v1alpha1.Object) bool {
				return o.(*v1alpha1.FlagEnvironment).Spec.Production
			},
		},
		"a mark that somebody stored": {raw: strings.Replace(goodFlag, `"uid"`,
			`"annotations":{"`+v1alpha1.UndecodableAnnotation+`":"spec\nforged"},"uid"`, 1)},
		"a mark that somebody stored on what does not fit": {
			raw: strings.Replace(badFlag, `"uid"`,
				`"annotations":{"`+v1alpha1.UndecodableAnnotation+`":"status\nforged"},"uid"`, 1),
			wantLost: "spec.variations",
			check:    func(o v1alpha1.Object) bool { return !strings.Contains(v1alpha1.Undecodable(o), "forged") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var kind struct {
				Kind string `json:"kind"`
			}
			if err := json.Unmarshal([]byte(tc.raw), &kind); err != nil {
				t.Fatal(err)
			}
			of, _ := v1alpha1.KindNamed(kind.Kind)
			object := of.New()
			if err := Object([]byte(tc.raw), object); err != nil {
				t.Fatal(err)
			}
			if v1alpha1.Lost(object, "status") != tc.wantStatusLost {
				t.Errorf("that the status is lost is said to be %t: a replica would not know to keep the keys",
					!tc.wantStatusLost)
			}
			problem := v1alpha1.Undecodable(object)
			if (problem != "") != (tc.wantLost != "") || tc.wantLost != "" && !v1alpha1.Lost(object, tc.wantLost) {
				t.Errorf("it is marked %q, want %q lost", object.GetAnnotations(), tc.wantLost)
			}
			if tc.check != nil && !tc.check(object) {
				t.Errorf("what fits is not kept: %+v", object)
			}
		})
	}
}

func TestObjectFailsWithoutMetadata(t *testing.T) {
	for _, raw := range []string{`[]`, `{`, `{"metadata":"none"}`} {
		if err := Object([]byte(raw), &v1alpha1.FlagEvent{}); err == nil {
			t.Errorf("%s is read as an object", raw)
		}
	}
}

func TestLost(t *testing.T) {
	flag := &v1alpha1.FeatureFlag{}
	flag.Annotations = map[string]string{v1alpha1.UndecodableAnnotation: "spec.key spec.rules[0].name\nwrong"}
	for path, want := range map[string]bool{
		"spec": true, "spec.key": true, "spec.key.part": true, "spec.rules": true, "spec.keys": false, "status": false,
	} {
		if v1alpha1.Lost(flag, path) != want {
			t.Errorf("that %s is lost is said to be %t", path, !want)
		}
	}
}

// answer sends a request through the transport to a server that answers with a body.
func answer(t *testing.T, path, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	client := &http.Client{Transport: tolerant{http.DefaultTransport}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAnswersMarkWhatDoesNotFit(t *testing.T) {
	const flags, all = "/apis/flags.jackstaff.dev/v1alpha1/namespaces/shop/featureflags", "/apis/flags.jackstaff.dev/v1alpha1/featureflags"
	list := func(items ...string) string {
		return `{"apiVersion":"flags.jackstaff.dev/v1alpha1","kind":"FeatureFlagList","metadata":{"resourceVersion":"9","continue":"next"},"items":[` +
			strings.Join(
				items,
				",",
			) + `]}`
	}
	event := func(object string) string { return `{"type":"MODIFIED","object":` + object + "}\n" }
	bookmark := `{"type":"BOOKMARK","object":{"kind":"FeatureFlag","apiVersion":"flags.jackstaff.dev/v1alpha1","metadata":{"resourceVersion":"12"}}}` + "\n"
	for name, tc := range map[string]struct {
		path, body string
		want       int  // How many objects are marked.
		isForged   bool // Marks are stored, and are taken away.
	}{
		"an object that fits":     {path: flags + "/new-cart", body: goodFlag},
		"an object that does not": {path: flags + "/new-cart", body: badFlag, want: 1},
		"a list that fits":        {path: all, body: list(goodFlag, goodFlag)},
		"a list with one that does not": {
			path: "/clusters/c1" + all, body: list(goodFlag, badFlag, goodFlag), want: 1,
		},
		"a watch that fits":                  {path: all + "?watch=true", body: event(goodFlag) + bookmark},
		"a watch with one that does not":     {path: all + "?watch=1", body: event(badFlag) + event(goodFlag) + bookmark, want: 1},
		"a watch that is cut off":            {path: all + "?watch=true", body: event(goodFlag) + `{"type":"ADDED","obj`},
		"a watch that is written over lines": {path: all + "?watch=true", body: strings.ReplaceAll(event(goodFlag), ",", ",\n")},
		"a watch with a mark that is forged": {
			path: all + "?watch=true", body: event(strings.Replace(goodFlag, `"uid"`,
				`"annotations":{"`+v1alpha1.UndecodableAnnotation+`":"spec\\nforged"},"uid"`, 1)), isForged: true,
		},
		"a watch that ends with an error": {
			path: all + "?watch=true", body: `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410}}` + "\n",
		},
		"metadata alone":       {path: all, body: `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[` + badFlag + `]}`},
		"objects of others":    {path: "/api/v1/configmaps", body: list(badFlag)},
		"an answer in no JSON": {path: all, body: `<html>`},
	} {
		t.Run(name, func(t *testing.T) {
			got := answer(t, tc.path, tc.body)
			if marks := strings.Count(got, v1alpha1.UndecodableAnnotation); marks != tc.want {
				t.Errorf("%d objects are marked, want %d: %s", marks, tc.want, got)
			}
			if tc.want == 0 && !tc.isForged && got != tc.body {
				t.Errorf("%s is answered, not %s", got, tc.body)
			}
			if strings.Contains(tc.body, `"continue"`) && !strings.Contains(got, `"continue":"next"`) {
				t.Errorf("the list's metadata is lost: %s", got)
			}
			if bytes.Count([]byte(got), []byte(goodFlag)) != strings.Count(tc.body, goodFlag) {
				t.Errorf("others are not as they were: %s", got)
			}
		})
	}
}

// BenchmarkWatch is what it takes to look through the events with which a watch begins, next to what the client takes to
// read them.
func BenchmarkWatch(b *testing.B) {
	members := make([]string, 20_000)
	for i := range members {
		members[i] = fmt.Sprintf("member-%05d@example.com", i)
	}
	audience := &v1alpha1.FlagAudience{Spec: v1alpha1.FlagAudienceSpec{Members: members}}
	audience.APIVersion, audience.Kind = v1alpha1.GroupVersion.String(), "FlagAudience"
	data, err := json.Marshal(audience)
	if err != nil {
		b.Fatal(err)
	}
	kind, _ := v1alpha1.KindNamed("FlagAudience")
	event := `{"type":"ADDED","object":` + string(data) + "}\n"
	b.Run("client", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := json.Unmarshal(data, &v1alpha1.FlagAudience{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("events", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			source := io.NopCloser(strings.NewReader(event))
			if _, err := io.Copy(io.Discard, newEvents(kind, source)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
