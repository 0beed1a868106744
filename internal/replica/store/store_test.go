// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// environment is production of shop with keys sdk_… and cli_… for each name.
func environment(names ...string) *v1alpha1.FlagEnvironment {
	made := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	made.UID, made.CreationTimestamp = "1", metav1.NewTime(time.Unix(1000, 0))
	for _, name := range names {
		made.Status.SDKKeys = append(made.Status.SDKKeys, keyOf(name, true))
	}
	return made
}

func keyOf(name string, confirmed bool) v1alpha1.SDKKey {
	hash := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return v1alpha1.SDKKey{
		SecretName: name,
		ServerHash: hash("sdk_" + name),
		ClientHash: hash("cli_" + name),
		Confirmed:  confirmed,
	}
}

// documentOf has flags, audiences and events as JSON.
func documentOf(revision int64, sections ...string) *Document {
	for len(sections) < 3 {
		sections = append(sections, "{}")
	}
	native := fmt.Sprintf(
		`{"audiences":%s,"environment":"production","events":%s,"flags":%s,"project":"shop","revision":%d,"schemaVersion":"1.0"}`,
		sections[1],
		sections[2],
		sections[0],
		revision,
	)
	digest := fmt.Sprintf("sha256:%064d", revision)
	if _, contents, err := datafile.Decode([]byte(native)); err == nil {
		digest = contents.Digest(&datafile.Section{})
	}
	return &Document{
		Digest:      digest,
		PublishedAt: time.Unix(2000, 0),
		Native:      []byte(native),
	}
}

const onOff = `"defaultVariation":"off","enabled":true,"fallthrough":"on","type":"Boolean","variations":[{"key":"off","value":false},{"key":"on","value":true}]`

// oneFlag is a document with one flag.
func oneFlag(revision int64, key string) *Document {
	return documentOf(revision, `{"`+key+`":{`+onOff+`}}`)
}

func mustSet(t *testing.T, store *Store, environment *v1alpha1.FlagEnvironment, document *Document) *Environment {
	t.Helper()
	if err := store.Set(environment, document); err != nil {
		t.Fatal(err)
	}
	held, found := store.Environment(environment.Namespace, environment.Name)
	if !found {
		t.Fatal("the environment is not there")
	}
	return held
}

func isClosed(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func TestByKey(t *testing.T) {
	store := NewStore()
	from := environment("a", "b")
	from.Status.SDKKeys = append(
		from.Status.SDKKeys,
		keyOf("unconfirmed", false),
		v1alpha1.SDKKey{ServerHash: "sha256:zz", ClientHash: "", Confirmed: true},
	)
	held := mustSet(t, store, from, nil)
	check := func(key string, wantKind KeyKind, wantFound bool) {
		t.Helper()
		got, kind, found := store.ByKey(key)
		if found != wantFound || kind != wantKind || found && got != held {
			t.Errorf("key %q: got %v %v, want %v %v", key, kind, found, wantKind, wantFound)
		}
	}
	check("sdk_a", ServerKey, true)
	check("cli_a", ClientKey, true)
	check("sdk_b", ServerKey, true)
	check("sdk_unconfirmed", 0, false)
	check("", 0, false)
	check(from.Status.SDKKeys[0].ServerHash, 0, false)

	from.Status.SDKKeys = from.Status.SDKKeys[1:2]
	changed := held.Changed()
	mustSet(t, store, from, nil)
	check("sdk_a", 0, false)
	check("cli_b", ClientKey, true)
	if !isClosed(changed) {
		t.Error("streams are not told that their key was revoked")
	}

	store.Remove(types.NamespacedName{Namespace: "shop", Name: "production"})
	check("sdk_b", 0, false)
}

// TestACopiedHashOpensNothing fails where whoever copies a hash gets the callers of its owner.
func TestACopiedHashOpensNothing(t *testing.T) {
	for name, order := range map[string][]int{"the owner is read first": {0, 1}, "the thief is read first": {1, 0}, "both are read twice": {1, 0, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			owner, thief := environment("a"), environment("a")
			thief.Namespace, thief.UID, thief.CreationTimestamp = "other", "0", metav1.NewTime(time.Unix(1001, 0))
			store := NewStore()
			for _, i := range order {
				mustSet(t, store, []*v1alpha1.FlagEnvironment{owner, thief}[i], nil)
			}
			if got, _, found := store.ByKey("sdk_a"); found {
				t.Errorf("the key that two environments have opens %+v", got)
			}
			store.Remove(types.NamespacedName{Namespace: "other", Name: "production"})
			if got, _, found := store.ByKey("sdk_a"); !found || got.Project != "shop" {
				t.Errorf("the key of shop opens %+v once nobody else has it", got)
			}
		})
	}
}

func TestTheLastGoodStays(t *testing.T) {
	tests := map[string]*Document{
		"no JSON": {Native: []byte("x")},
		"nothing": {},
		"a header alone": {
			Native: datafile.EncodeHeader(
				datafile.Header{Compressed: "datafile.json.gz", Project: "shop", Environment: "production", Revision: 2},
			),
		},
		"of a newer operator":  {Native: []byte(strings.Replace(string(oneFlag(2, "b").Native), `"1.0"`, `"2.0"`, 1))},
		"of another project":   {Native: []byte(strings.Replace(string(oneFlag(2, "b").Native), `"shop"`, `"blog"`, 1))},
		"without a revision":   oneFlag(0, "b"),
		"a flag without sense": documentOf(2, `{"a":{"enabled":true}}`),
		"not there":            nil,
	}
	for name, broken := range tests {
		t.Run(name, func(t *testing.T) {
			store := NewStore()
			held := mustSet(t, store, environment("a"), oneFlag(1, "a"))
			changed := held.Changed()
			if err := store.Set(environment("a"), broken); (err == nil) != (broken == nil) {
				t.Errorf("error %v", err)
			}
			if revision := held.Revision(); revision.Number != 1 || revision.Engine().Len() != 1 || isClosed(changed) {
				t.Errorf("what was served is lost: revision %d", revision.Number)
			}
			if err := store.Set(environment("b"), broken); (err == nil) != (broken == nil) {
				t.Errorf("error %v", err)
			}
			if _, _, found := store.ByKey("sdk_a"); found {
				t.Error("a broken datafile keeps a revoked key valid")
			}
			if mustSet(t, store, environment("b"), oneFlag(3, "c")).Revision().Number != 3 {
				t.Error("a good datafile is not served after a broken one")
			}
		})
	}
}

func TestChanged(t *testing.T) {
	store := NewStore()
	held := mustSet(t, store, environment("a"), nil)
	if revision := held.Revision(); revision.Number != 0 || revision.Engine().Len() != 0 ||
		held.ClientEngine().Len() != 0 {
		t.Error("something is served before anything was published")
	}
	allowed := environment("a")
	allowed.Spec.Datafile.ClientMembers = v1alpha1.ClientMembersAllow
	steps := []struct {
		name        string
		environment *v1alpha1.FlagEnvironment
		document    *Document
		want        bool
	}{
		{"the first revision", environment("a"), oneFlag(1, "a"), true},
		{"the same once more", environment("a"), oneFlag(1, "a"), false},
		{"nothing new", environment("a"), nil, false},
		{"the next revision", environment("a"), oneFlag(2, "b"), true},
		{"a rollback", environment("a"), oneFlag(1, "a"), true},
		{"another key", environment("b", "a"), nil, true},
		{"no key", environment(), nil, true},
		{"another setting", allowed, nil, true},
	}
	for _, step := range steps {
		changed := held.Changed()
		if mustSet(t, store, step.environment, step.document) != held {
			t.Fatalf("%s: it is another environment", step.name)
		}
		if isClosed(changed) != step.want {
			t.Errorf("%s: subscribers are told: %v, want %v", step.name, !step.want, step.want)
		}
	}

	changed := held.Changed()
	again := environment("a")
	again.UID = "2"
	if mustSet(t, store, again, nil) == held || !isClosed(changed) || !held.Gone() {
		t.Error("an environment that was created again is taken for the old one")
	}
}

func TestRevision(t *testing.T) {
	document := oneFlag(7, "checkout")
	revision := mustSet(t, NewStore(), environment(), document).Revision()
	if revision.Number != 7 || revision.Digest != document.Digest || !revision.PublishedAt.Equal(time.Unix(2000, 0)) {
		t.Errorf("got %d %s %s", revision.Number, revision.Digest, revision.PublishedAt)
	}
	if result := revision.Engine().Evaluate(
		"checkout",
		nil,
		time.Unix(0, 0),
	); result.Variation == nil ||
		result.Variation.Key != "on" {
		t.Errorf("got %+v", result)
	}
}

// mixed has flags for clients, for servers and for both, which require each other.
var mixed = documentOf(3, `{
"browser":{`+onOff+`,"metadata":{"jira":"SHOP-12"},"runtime":"Client"},
"everywhere":{`+onOff+`,"rules":[{"audiences":["beta"],"metrics":["purchase"],"name":"beta","variation":"off"}]},
"needsRetained":{`+onOff+`,"prerequisites":[{"flag":"retained","variations":["on"]}]},
"needsServer":{`+onOff+`,"prerequisites":[{"flag":"needsServerToo","variations":["on"]}]},
"needsServerToo":{`+onOff+`,"prerequisites":[{"flag":"server","variations":["on"]},{"flag":"missing","variations":["on"]}]},
"retained":{`+onOff+`,"metadata":{"secret":"name"},"retained":true},
"server":{`+onOff+`,"overrides":{"alice":"off"},"rules":[{"audiences":["staff"],"metrics":["refund"],"name":"staff","variation":"off"}],"runtime":"Server"}
}`, `{"beta":{"groups":[{"conditions":[{"attribute":"plan","operator":"In","values":["beta"]}]}]},"staff":{"members":["bob"]}}`,
	`{"purchase":{"type":"Conversion"},"refund":{"type":"Conversion"}}`)

func TestClientsReceiveWhatIsForThem(t *testing.T) {
	document := *mixed
	document.Flagd = []byte(`{"flags":{}}`)
	held := mustSet(t, NewStore(), environment(), &document)
	native, err := held.Download(ClientKey, Native, Identity)
	if err != nil {
		t.Fatal(err)
	}
	const flag = `"defaultVariation":"off","enabled":true,"fallthrough":"on",`
	const values = `"type":"Boolean","variations":[{"key":"off","value":false},{"key":"on","value":true}]}`
	want := `{"audiences":{"beta":{"groups":[{"conditions":[{"attribute":"plan","operator":"In","values":["beta"]}]}]}},"environment":"production",` +
		`"events":{"purchase":{"type":"Conversion"}},"flags":{` +
		`"browser":{` + flag + `"runtime":"Client",` + values + `,` +
		`"everywhere":{` + flag + `"rules":[{"audiences":["beta"],"metrics":["purchase"],"name":"beta","variation":"off"}],` + values + `,` +
		`"needsRetained":{` + flag + `"prerequisites":[{"flag":"retained","variations":["on"]}],` + values + `,` +
		`"retained":{` + flag + `"retained":true,` + values + `},"project":"shop","revision":3,"schemaVersion":"1.0"}`
	if diff := cmp.Diff(want, string(native.Bytes)); diff != "" {
		t.Errorf("client keys receive (-want +got):\n%s", diff)
	}
	file, err := held.Download(ClientKey, Flagd, Identity)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]bool{`"browser":`: true, `"everywhere":`: true, `"needsRetained":`: true, `"retained":`: false, `"needsServer"`: false,
		`"server"`: false, "SHOP-12": false, "alice": false, "bob": false, `"revision":3`: true} {
		if strings.Contains(string(file.Bytes), part) != want {
			t.Errorf("the flagd file of client keys has %s: %v, want %v\n%s", part, !want, want, file.Bytes)
		}
	}
}

func TestClientsGetTheSameAnswers(t *testing.T) {
	held := mustSet(t, NewStore(), environment(), mixed)
	download, err := held.Download(ClientKey, Native, Identity)
	if err != nil {
		t.Fatal(err)
	}
	document, err := datafile.Read(download.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	downloaded, err := evaluate.New(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"alice", "bob", "carol"} {
		for _, plan := range []string{"beta", "none"} {
			attributes := map[string]any{"targetingKey": key, "plan": plan}
			for flag := range held.Engine().Flags() {
				want := flag.Evaluate(attributes, time.Unix(0, 0))
				got := held.ClientEngine().Evaluate(flag.Key, attributes, time.Unix(0, 0))
				if flag.Runtime == datafile.Server {
					if got.Reason != evaluate.FlagNotFound {
						t.Errorf("clients are answered for the server's flag %q", flag.Key)
					}
				} else if got.Variation != want.Variation {
					t.Errorf("flag %q: clients get another answer", flag.Key)
				}
				if got := downloaded.Evaluate(
					flag.Key,
					attributes,
					time.Unix(0, 0),
				); got.Variation != nil &&
					got.Variation.Key != want.Variation.Key {
					t.Errorf(
						"flag %q: clients that evaluate by themselves get %s, want %s",
						flag.Key,
						got.Variation.Key,
						want.Variation.Key,
					)
				}
			}
		}
	}
}

func TestClientsDoNotReceiveMembers(t *testing.T) {
	const members = `{"beta":{"members":["alice"]}}`
	tests := map[string]struct {
		document *Document
		want     error
	}{
		"an override": {documentOf(1, `{"a":{`+onOff+`,"overrides":{"alice":"off"}}}`), ErrMembers},
		"a member": {
			documentOf(1, `{"a":{`+onOff+`,"rules":[{"audiences":["beta"],"name":"beta","variation":"off"}]}}`, members),
			ErrMembers,
		},
		"an audience that nobody refers to": {documentOf(1, `{"a":{`+onOff+`}}`, members), nil},
		"a member for servers only":         {mixed, nil},
		"a member that only a retained sees": {
			documentOf(1, `{"a":{`+onOff+`},"b":{`+onOff+`,"overrides":{"alice":"off"},"retained":true}}`),
			nil,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.document.Flagd = []byte(`{"flags":{}}`)
			store := NewStore()
			held := mustSet(t, store, environment(), tc.document)
			for _, format := range []Format{Native, Flagd} {
				if _, err := held.Download(ClientKey, format, Identity); !errors.Is(err, tc.want) {
					t.Errorf("format %d: error %v, want %v", format, err, tc.want)
				}
				if _, err := held.Download(ServerKey, format, Identity); err != nil {
					t.Errorf("format %d: server keys do not receive it: %v", format, err)
				}
			}
			allowed := environment()
			allowed.Spec.Datafile.ClientMembers = v1alpha1.ClientMembersAllow
			mustSet(t, store, allowed, nil)
			if _, err := held.Download(ClientKey, Native, Identity); err != nil {
				t.Errorf("clientMembers Allow: %v", err)
			}
		})
	}
}

// Text that compresses well takes a thousandth of its size in a ConfigMap. Every replica would hold all of it besides
// what it evaluates.
func TestACompressedDocumentIsHeldCompressed(t *testing.T) {
	document := oneFlag(1, "a")
	var err error
	if document.Packed, err = datafile.Compress(document.Native); err != nil {
		t.Fatal(err)
	}
	store := NewStore()
	held := mustSet(t, store, environment(), document)
	if held.Revision().document.Native != nil {
		t.Error("the document is held twice")
	}
	if document.Native == nil {
		t.Error("the caller's document was changed")
	}
	for _, kind := range []KeyKind{ServerKey, ClientKey} {
		download, err := held.Download(kind, Native, Identity)
		if err != nil || !bytes.Equal(download.Bytes, document.Native) {
			t.Errorf("a key of kind %d receives %s (%v)", kind, download.Bytes, err)
		}
	}
	before := held.Revision()
	if mustSet(t, store, environment(), document).Revision() != before {
		t.Error("the same document again is told to everybody as a change")
	}
	other := oneFlag(2, "b")
	if other.Packed, err = datafile.Compress(other.Native); err != nil {
		t.Fatal(err)
	}
	if mustSet(t, store, environment(), other).Revision().Number != 2 {
		t.Error("another revision is not served")
	}
}

func TestDownload(t *testing.T) {
	store := NewStore()
	held := mustSet(t, store, environment(), nil)
	if _, err := held.Download(ServerKey, Native, Identity); !errors.Is(err, ErrUnpublished) {
		t.Errorf("error %v", err)
	}
	document := oneFlag(1, "a")
	nativeOnly := environment()
	nativeOnly.Spec.Datafile.Formats = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative}
	mustSet(t, store, nativeOnly, document)
	for _, kind := range []KeyKind{ServerKey, ClientKey} {
		if _, err := held.Download(kind, Flagd, Identity); !errors.Is(err, ErrNoFlagd) {
			t.Errorf("error %v", err)
		}
	}
	// Whoever asks for the format gets it also where the ConfigMap has no space for it.
	mustSet(t, store, environment(), document)
	for _, kind := range []KeyKind{ServerKey, ClientKey} {
		if file, err := held.Download(kind, Flagd, Identity); err != nil || !strings.Contains(string(file.Bytes), `"a":{`) {
			t.Errorf("error %v, %s", err, file.Bytes)
		}
	}
	plain := map[Coding]func([]byte) ([]byte, error){
		Identity: func(data []byte) ([]byte, error) { return data, nil },
		Gzip:     datafile.Decompress,
		Zstd: func(data []byte) ([]byte, error) {
			reader, err := zstd.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, err
			}
			defer reader.Close()
			return io.ReadAll(reader)
		},
	}
	tags := map[string]Coding{}
	for coding, decode := range plain {
		download, err := held.Download(ServerKey, Native, coding)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(download.Bytes)
		if err != nil || !bytes.Equal(got, document.Native) {
			t.Errorf("coding %d is not what is published: %v\n%s", coding, err, got)
		}
		if other, found := tags[download.ETag]; found {
			t.Errorf("codings %d and %d have the same strong entity tag", coding, other)
		}
		tags[download.ETag] = coding
		if again, _ := held.Download(ServerKey, Native, coding); &again.Bytes[0] != &download.Bytes[0] {
			t.Errorf("coding %d is made for every request", coding)
		}
	}
}

// Clients that ask for the flagd file get that of the revision, also where the ConfigMap has none or an older one.
func TestFlagdFile(t *testing.T) {
	store := NewStore()
	held := mustSet(t, store, environment(), nil)
	if _, _, err := held.FlagdFile(ServerKey); !errors.Is(err, ErrUnpublished) {
		t.Errorf("error %v", err)
	}
	published := oneFlag(1, "a")
	published.Flagd = []byte(`{"flags":{},"metadata":{"revision":1}}`)
	older := oneFlag(2, "b")
	older.Flagd = published.Flagd
	tests := []struct {
		document *Document
		want     string // A part of the file.
	}{{published, string(published.Flagd)}, {older, `"b":{`}, {oneFlag(3, "c"), `"c":{`}}
	for _, tc := range tests {
		mustSet(t, store, environment(), tc.document)
		revision, file, err := held.FlagdFile(ServerKey)
		if err != nil || revision != held.Revision() || !strings.Contains(string(file), tc.want) {
			t.Errorf("revision %d: %s, %v", revision.Number, file, err)
		}
		if _, again, _ := held.FlagdFile(ServerKey); &again[0] != &file[0] {
			t.Error("the file is made for every request")
		}
	}
}
