package once

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

func keys(t *testing.T, texts ...string) *Keys {
	t.Helper()
	var lines []string
	for _, c := range texts {
		lines = append(lines, strings.Repeat(c, 32))
	}
	k, err := ParseKeys(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// raw is all values in a store, as they stand there.
func raw(t *testing.T, st store.Store) []byte {
	t.Helper()
	page, err := st.List(t.Context(), store.Query{Partition: "default", Class: Class})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, r := range page.Records {
		out = append(out, r.Value...)
	}
	return out
}

func TestAnswersAreEncryptedAndTheirKeysCanBeChanged(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	a := &app{}
	serve := func(k *Keys, key string, status int, inBody string) {
		t.Helper()
		g, err := New(t.Context(), st, Config{Keys: k})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = g.Close(context.Background()) }()
		mustBe(t, post(g.Handler(Policy{}, a), key, "body"), status, inBody)
	}
	serve(nil, "clear", 201, "run 1")
	if !bytes.Contains(raw(t, st), []byte("run 1")) {
		t.Fatal("the test cannot see what is stored")
	}
	serve(keys(t, "a1"), "sealed", 201, "run 2")
	if b := raw(t, st); bytes.Contains(b, []byte("run 2")) || bytes.Count(b, []byte("/orders")) != 1+1 {
		t.Errorf("it can be read: %q", b)
	}
	serve(keys(t, "a1"), "clear", 201, "run 1")        // from before there were keys
	serve(keys(t, "b2", "a1"), "sealed", 201, "run 2") // with another key that writes
	serve(keys(t, "b2", "a1"), "later", 201, "run 3")
	serve(keys(t, "b2"), "later", 201, "run 3")
	// A key that is gone blocks, and runs nothing again.
	serve(keys(t, "b2"), "sealed", 503, "store-unavailable")
	serve(nil, "sealed", 503, "store-unavailable")
	a.mustHaveRun(t, 3)
}

func TestAFingerprintIsKeyedAndComparesAcrossKeys(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	a := &app{}
	one, err := New(t.Context(), st, Config{Keys: keys(t, "a1")})
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, post(one.Handler(Policy{}, a), "k", "body"), 201, "run 1")
	_ = one.Close(t.Context())
	two := newGuard(t, st, Config{Keys: keys(t, "b2", "a1")})
	mustBe(t, post(two.Handler(Policy{}, a), "k", "body"), 201, "run 1")
	mustBe(t, post(two.Handler(Policy{}, a), "k", "other"), 422, "key-reused")
	l := mustBegin(t, two, Task{Key: "t", Input: []byte("a")}, Execute).Lease
	if _, err := two.Begin(t.Context(), Task{Key: "t", Input: []byte("b")}); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v, want ErrMismatch", err)
	}
	if err := two.Complete(t.Context(), l, Done{Result: []byte("r")}); err != nil {
		t.Error(err)
	}
	mustBegin(t, two, Task{Key: "t", Input: []byte("a")}, Duplicate)
}

// TestARetryKnowsItsBodyAcrossKeys starts a doubtful submission again after the key
// that made its fingerprint was changed.
func TestARetryKnowsItsBodyAcrossKeys(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }}
	one, err := New(t.Context(), st, Config{Keys: keys(t, "a1")})
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, post(one.Handler(Policy{}, a), "k", "body"), 502, "")
	_ = one.Close(t.Context())
	a.answer = nil
	h := newGuard(t, st, Config{Keys: keys(t, "b2", "a1")}).Handler(Policy{OnUncertain: Retry}, a)
	mustBe(t, post(h, "k", "bodY"), 422, "key-reused")
	mustBe(t, post(h, "k", "body"), 201, "run 2")
	mustBe(t, post(h, "k", "body"), 201, "run 2")
	a.mustHaveRun(t, 2)
}

// TestARecordCannotStandInForAnother swaps the values of two records.
func TestARecordCannotStandInForAnother(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	g := newGuard(t, st, Config{Keys: keys(t, "a1")})
	a := &app{}
	h := g.Handler(Policy{}, a)
	mustBe(t, post(h, "a", "body"), 201, "run 1")
	mustBe(t, post(h, "b", "body"), 201, "run 2")
	page, err := st.List(t.Context(), store.Query{Partition: "default", Class: Class})
	if err != nil || len(page.Records) != 2 {
		t.Fatal(err)
	}
	for i, r := range page.Records {
		_, err := st.Apply(t.Context(), "default", store.PutIfVersion(Class, r.Key, r.Version, store.Put{State: r.State, Group: r.Group, Value: page.Records[1-i].Value}))
		if err != nil {
			t.Fatal(err)
		}
	}
	mustBe(t, post(h, "a", "body"), 503, "store-unavailable")
	a.mustHaveRun(t, 2)
}
