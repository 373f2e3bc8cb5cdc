package form

import (
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store/memstore"
)

// What is ours goes, and everything else stays as it came.
func FuzzTakeParams(f *testing.F) {
	for _, q := range []string{"", "a=1", "seeother-form=x", "a=1&seeother-form=x&b=2", "seeother-form=x&seeother-form=y", "&&a&seeother-page", "seeother-%66orm=x", "seeother-formx=1"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		rest, p, found := takeParams(query)
		var want []string
		ours := 0
		for piece := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(piece, "=")
			if name == tokenParam || name == pageParam || name == againParam {
				ours++
				continue
			}
			want = append(want, piece)
		}
		if ours == 0 && rest != query || found != (ours > 0) {
			t.Errorf("%q became %q, found %t", query, rest, found)
		}
		if ours > 0 && rest != strings.Join(want, "&") {
			t.Errorf("%q became %q, want %q", query, rest, strings.Join(want, "&"))
		}
		if again, q, twice := takeParams(rest); again != rest || twice || q != (params{}) {
			t.Errorf("%q becomes %q once more (%+v)", rest, again, q)
		}
		if p.token != "" && !strings.Contains(query, tokenParam+"="+p.token) {
			t.Errorf("token %q of %q", p.token, query)
		}
	})
}

// No token but a fresh one for this very nonce counts.
func FuzzCheckToken(f *testing.F) {
	keys, err := RandomKeys()
	if err != nil {
		f.Fatal(err)
	}
	forms, err := New(memstore.New(), keys, Config{})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	nonce := newNonce()
	good := forms.newToken(nonce, now)
	if _, _, ok := forms.checkToken(good, []string{nonce}, now); !ok {
		f.Fatal("a good token does not count")
	}
	f.Add(good[:len(good)-1] + "A")
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, ok := forms.checkToken(token, []string{nonce}, now); ok && token != good {
			t.Errorf("%q counts", token)
		}
		if _, _, ok := forms.checkToken(token, []string{newNonce(), ""}, now); ok {
			t.Errorf("%q counts for another browser", token)
		}
	})
}

func FuzzDecodeKept(f *testing.F) {
	good, err := kept{Status: 200, Header: map[string][]string{"Content-Type": {"text/html"}}, body: []byte("x")}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		k, err := decodeKept(value)
		if err != nil {
			return
		}
		again, err := k.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeKept(again); err != nil {
			t.Errorf("%q: %v", again, err)
		}
	})
}
