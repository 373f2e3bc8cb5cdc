package seeother_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother"
)

// sums gives a request a body whose reading sets its trailer, each time anew.
func sums(r *http.Request, names ...string) {
	r.Trailer, r.ContentLength = make(http.Header), -1
	for _, name := range names {
		r.Trailer[name] = nil
	}
	made := 0
	r.GetBody = func() (io.ReadCloser, error) {
		made++
		number, left := fmt.Sprint(made), 1000
		return io.NopCloser(readFunc(func(p []byte) (int, error) {
			for _, name := range names {
				r.Trailer[name] = []string{number}
			}
			if left--; left == 0 {
				return 0, io.EOF
			}
			return copy(p, "text"), nil
		})), nil
	}
	r.Body, _ = r.GetBody()
}

// A Transport may answer before it has read a body, and read on while the next
// request goes out: for the race detector.
func TestABodyThatIsReadAfterAnEarlyAnswerDoesNotMeetTheNextOne(t *testing.T) {
	t.Parallel()
	var reading sync.WaitGroup
	got := make([]string, 3)
	early := transportFunc(func(r *http.Request) (*http.Response, error) {
		n := int(r.URL.Path[1] - '0')
		read := func() {
			_, err := io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
			if err == nil {
				got[n] = r.Trailer.Get("Checksum")
			}
		}
		if n == 2 {
			read()
			return &http.Response{StatusCode: http.StatusOK}, nil
		}
		reading.Go(read)
		return &http.Response{StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {fmt.Sprintf("/%d", n+1)}}}, nil
	})
	for range 20 {
		clear(got)
		r := request(t, "POST", "http://a.example/0", "")
		sums(r, "Checksum")
		if _, err := (&seeother.Client{Transport: early}).Do(r); err != nil {
			t.Fatal(err)
		}
		reading.Wait()
		if got[2] != "3" || got[0] != "" && got[0] != "1" || got[1] != "" && got[1] != "2" {
			t.Fatalf("trailers %q", got)
		}
	}
}

func TestCredentialsInTrailersStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	var home, other *httptest.Server
	serve := func(next func() string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			var names []string
			for name, values := range r.Trailer {
				names = append(names, name+"="+strings.Join(values, ","))
			}
			slices.Sort(names)
			mu.Lock()
			got = append(got, strings.Join(names, " "))
			mu.Unlock()
			if r.URL.Path != "/end" {
				w.Header().Set("Location", next())
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
		}))
		t.Cleanup(s.Close)
		return s
	}
	home = serve(func() string { return other.URL + "/" })
	other = serve(func() string { return home.URL + "/end" })
	r := request(t, "POST", home.URL+"/", "")
	sums(r, "Authorization", "proxy-authorization", "Cookie", "Checksum")
	resp, err := (&seeother.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	want := []string{"Authorization=1 Checksum=1 Cookie=1 Proxy-Authorization=1", "Checksum=2", "Checksum=3"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
