package audit

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/internal/filelock"
)

// beside makes a state's queue, and a state where there is one.
func beside(t *testing.T, queue string, snap *snapshot) (state string) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(state+queueSuffix, []byte(queue), 0o600); err != nil {
		t.Fatal(err)
	}
	if snap != nil {
		data, err := json.Marshal(snap)
		if err := errors.Join(err, os.WriteFile(state, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return state
}

// A file that happens to have the name of a queue is somebody's.
func TestFilesThatAreNoQueueAreLeftAlone(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	page := `{"u":"` + srv.URL + `/"}` + "\n"
	for name, c := range map[string]struct {
		queue string
		snap  *snapshot
		taken bool
	}{
		"text":                           {"my notes\n", nil, false},
		"JSON of something else":         {`{"name":"x"}` + "\n", nil, false},
		"a line that is too long":        {strings.Repeat("x", maxStep+1), nil, false},
		"an empty line":                  {"\n" + page, nil, false},
		"text that a state tells of":     {"my notes\nmore", &snapshot{Version: stateVersion, Start: srv.URL + "/", Size: 9}, false},
		"text that an empty state holds": {"my notes\n", &snapshot{Version: stateVersion, Start: srv.URL + "/"}, false},
		"nothing":                        {"", nil, true},
		"a queue of an audit that died":  {page + `{"u":"ht`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := beside(t, c.queue, c.snap)
			_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), State: state, Rate: -1})
			if c.taken {
				if err != nil {
					t.Error(err)
				}
				return
			}
			data, readErr := os.ReadFile(state + queueSuffix)
			if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), queueSuffix) || readErr != nil || string(data) != c.queue {
				t.Errorf("%v; the file has %.20q, %v", err, data, readErr)
			}
		})
	}
}

// A link that somebody planted in a folder that is everybody's leads nowhere.
func TestQueuesAreNoLinks(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	page := `{"u":"` + srv.URL + `/"}` + "\n"
	for name, text := range map[string]string{"to a file": "mine", "to a queue": page, "to an empty file": ""} {
		folder := t.TempDir()
		target, state := filepath.Join(folder, "target"), filepath.Join(folder, "state")
		if err := errors.Join(os.WriteFile(target, []byte(text), 0o600), os.Symlink(target, state+queueSuffix)); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), State: state, Rate: -1})
		if data, _ := os.ReadFile(target); !errors.Is(err, ErrState) || string(data) != text {
			t.Errorf("%s: %v; the target has %q", name, err, data)
		}
	}
	folder := t.TempDir()
	target, state := filepath.Join(folder, "target"), filepath.Join(folder, "state")
	if err := os.Symlink(target, state+queueSuffix); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), State: state, Rate: -1})
	if _, gone := os.Lstat(target); noFollow != 0 && (!errors.Is(err, ErrState) || !errors.Is(gone, os.ErrNotExist)) {
		t.Errorf("to nothing: %v; the target was made (%v)", err, gone)
	}
}

// An audit that ends takes its queue away: one that opened it before that, and
// locked it after, has nothing.
func TestQueuesThatWereTakenAwayAreNotUsed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := isAt(f, path); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if isAt(f, path+".link") == nil {
		t.Error("a link is taken")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if isAt(f, path) == nil {
		t.Error("a file that is gone is taken")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if isAt(f, path) == nil {
		t.Error("another file of that name is taken")
	}
}

// Until the queue is ours, another audit may write the state.
func TestTheQueueIsClaimedBeforeTheStateIsRead(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	opts := Options{Start: mustParse(t, srv.URL), State: beside(t, "", nil), Rate: -1}
	if err := os.WriteFile(opts.State, []byte("half of a sta"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := openQueue(&opts, opts.State+queueSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), opts); !errors.Is(err, ErrState) || !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("the state was read: %v", err)
	}
	if err := held.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), opts); !errors.Is(err, ErrState) || errors.Is(err, filelock.ErrHeld) {
		t.Errorf("the state was not read: %v", err)
	}
	if _, err := os.Stat(opts.State + queueSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty queue is left behind: %v", err)
	}
}

// What cannot be gone on with is let go of.
func TestQueuesThatCannotBeReadAreClosed(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	for name, queue := range map[string]string{"a line that is too long": strings.Repeat("x", maxStep+1), "text": "my notes\n"} {
		opts := Options{Start: mustParse(t, srv.URL), Rate: -1}
		opts.State = beside(t, queue, &snapshot{Version: stateVersion, Start: srv.URL + "/", Size: int64(len(queue))})
		if _, err := Run(t.Context(), opts); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
		q, err := openQueue(&opts, opts.State+queueSuffix)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = q.close()
	}
}

// Whatever a queue holds, what is taken from it is a step of an audit.
func FuzzQueue(f *testing.F) {
	f.Add([]byte(`{"u":"http://a.example/"}` + "\n" + `{"k":"host","u":"http://a.example/x","f":"http://a.example/"}` + "\n"))
	f.Add([]byte(`{"k":"form","u":"http://a.example/buy?x","f":"http://a.example/","form":{"method":"POST","action":"http://a.example/buy?x"}}` + "\n"))
	f.Add([]byte(`{"k":"open","u":"http://a.example","p":"next"}` + "\n{}\n"))
	f.Add([]byte("my notes"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := Options{Start: mustParse(t, "http://a.example/")}.withDefaults()
		submitting("forms: [{action: /buy}]")(&opts)
		path := filepath.Join(folder, "queue")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := openQueue(&opts, path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = q.drop() }()
		if q.resume(int64(len(data))) != nil || q.from(0) != nil {
			return
		}
		for {
			s, _, ok, err := q.next()
			if err != nil || !ok {
				return
			}
			if err := s.validate(); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
			s.sends(&opts)
		}
	})
}
