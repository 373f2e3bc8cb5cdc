package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func raw(c byte) []byte { return bytes.Repeat([]byte{c}, KeyBytes) }

func ring(t testing.TB, keys ...byte) *Ring {
	t.Helper()
	var all [][]byte
	for _, c := range keys {
		all = append(all, raw(c))
	}
	r, err := New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsSealedOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	r := ring(t, 1)
	sealed := r.Seal([]byte("secret"), []byte("here"))
	if got, err := r.Open(sealed, []byte("here")); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, r.Seal([]byte("secret"), []byte("here"))) {
		t.Error("it can be read, or looks the same each time")
	}
	if _, err := r.Open(sealed, []byte("there")); !errors.Is(err, ErrForged) {
		t.Errorf("in another place: %v, want ErrForged", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := r.Open(bad, []byte("here")); err == nil {
			t.Errorf("byte %d is changed, and it opens", i)
		}
		if _, err := r.Open(sealed[:i], []byte("here")); err == nil {
			t.Errorf("cut to %d bytes, it opens", i)
		}
	}
}

func TestKeysAreChangedWithoutAStop(t *testing.T) {
	t.Parallel()
	old, both, later := ring(t, 1), ring(t, 2, 1), ring(t, 2)
	sealed := old.Seal([]byte("a"), nil)
	sum := old.Sum([]byte("data"))
	if got, err := both.Open(sealed, nil); err != nil || string(got) != "a" {
		t.Errorf("%q, %v", got, err)
	}
	if !both.SumOf(sum, []byte("data")) || both.SumOf(sum, []byte("other")) || !both.SumOf(both.Sum([]byte("x")), []byte("x")) {
		t.Error("sums of the key before do not count, or too many do")
	}
	if _, err := later.Open(sealed, nil); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without the key: %v, want ErrUnknownKey", err)
	}
	if later.SumOf(sum, []byte("data")) || later.SumOf(nil, nil) {
		t.Error("a sum of an unknown key counts")
	}
	if got, err := later.Open(both.Seal([]byte("b"), nil), nil); err != nil || string(got) != "b" {
		t.Errorf("the first key writes: %q, %v", got, err)
	}
}

func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	text := "# the new one\n" + hex.EncodeToString(raw(2)) + "\n\n " + base64.StdEncoding.EncodeToString(raw(1)) + " \r\n"
	r, err := Parse(strings.NewReader(text))
	if err != nil || len(r.keys) != 2 {
		t.Fatalf("%v", err)
	}
	if _, err := r.Open(ring(t, 1).Seal(nil, nil), nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "# none\n", "short-secret\n", hex.EncodeToString(raw(1)[:31]), hex.EncodeToString(raw(1)) + "\n" + hex.EncodeToString(raw(1))} {
		if _, err := Parse(strings.NewReader(bad)); !errors.Is(err, ErrKeys) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want ErrKeys", bad, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, 1)
	f.Add(r.Seal([]byte("x"), []byte("place")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := r.Open(sealed, []byte("other place"))
		if err == nil {
			t.Errorf("%x opens as %q", sealed, plain)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("# the new one\n" + hex.EncodeToString(raw(2)) + "\n" + base64.StdEncoding.EncodeToString(raw(1)))
	f.Add("hunter2")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		if n := len(r.keys); n == 0 || n > MaxKeys {
			t.Fatalf("%d keys of %q", n, text)
		}
		sealed := r.Seal([]byte("x"), []byte("p"))
		if got, err := r.Open(sealed, []byte("p")); err != nil || string(got) != "x" {
			t.Errorf("%q, %v with the keys of %q", got, err, text)
		}
	})
}
