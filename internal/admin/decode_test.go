package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sample is something to decode into.
type sample struct {
	Name string `json:"name"`
}

func decodeText(media, body string) (sample, error) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	var into sample
	err := decodeJSON(httptest.NewRecorder(), r, &into)
	return into, err
}

func TestDecodeJSON(t *testing.T) {
	const asIs = "application/json"
	for _, tt := range []struct {
		name, media, body string
		want              string // part of the error; empty: it is read
	}{
		{"an object", asIs, `{"name":"a"}`, ""},
		{"with a charset", "Application/JSON; charset=utf-8", `{"name":"a"}`, ""},
		{"space around it", asIs, " \n{\"name\":\"a\"}\n ", ""},
		{"no type", "", `{"name":"a"}`, "want Content-Type application/json"},
		{"another type", "text/plain", `{"name":"a"}`, "want Content-Type application/json"},
		{"what a form of another site could send", "text/plain; x=application/json", `{"name":"a"}`, "want Content-Type application/json"},
		{"a type that only begins so", "application/json-seq", `{"name":"a"}`, "want Content-Type application/json"},
		{"a malformed type", "application/json; ;", `{"name":"a"}`, "want Content-Type application/json"},
		{"nothing", asIs, "", "body: it is empty"},
		{"only space", asIs, "  ", "body: it is empty"},
		{"not JSON", asIs, "name=a", "body: invalid character"},
		{"broken off", asIs, `{"name":"a"`, "body: unexpected EOF"},
		{"an unknown member", asIs, `{"name":"a","force":true}`, `unknown field "force"`},
		{"a member of another type", asIs, `{"name":1}`, "cannot unmarshal number"},
		{"a list", asIs, `[]`, "cannot unmarshal array"},
		{"two values", asIs, `{"name":"a"}{"name":"b"}`, "something follows the JSON value"},
		{"something after it", asIs, `{"name":"a"} x`, "body: invalid character"},
		{"a brace too many", asIs, `{"name":"a"}}`, "body: "},
		{"too long", asIs, `{"name":"` + strings.Repeat("a", maxBody) + `"}`, "want at most 65536 bytes"},
		{"too long after the value", asIs, `{"name":"a"}` + strings.Repeat(" ", maxBody), "want at most 65536 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeText(tt.media, tt.body)
			switch {
			case tt.want == "" && (err != nil || got.Name != "a"):
				t.Errorf("got %+v, %v", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err == nil {
				return
			}
			if p, known := problemOf(err); !known || p.Status < 400 || p.Status >= 500 {
				t.Errorf("%v becomes %d: it is the client's to mend", err, p.Status)
			}
		})
	}
}

// FuzzDecodeJSON: what is taken is one JSON value of this form and nothing
// else, and every error is the client's to mend.
func FuzzDecodeJSON(f *testing.F) {
	for _, body := range []string{`{"name":"a"}`, `{}`, `null`, ``, `{"name":"a"}x`, `{"Name":"a"}`, `{"name":"\ud800"}`, "\xff", `{"name":"a"}{}`, `[{}]`, `{"x":1}`, strings.Repeat("[", 20000)} {
		f.Add("application/json", body)
	}
	f.Add("text/plain", `{}`)
	f.Add("application/json;charset=", `{}`)
	f.Fuzz(func(t *testing.T, media, body string) {
		got, err := decodeText(media, body)
		if err != nil {
			if p, known := problemOf(err); !known || p.Status < 400 || p.Status >= 500 {
				t.Errorf("%v is not known as the client's", err)
			}
			if errors.Is(err, errBodySize) != (len(body) > maxBody) && len(body) <= maxBody {
				t.Errorf("%d bytes are refused as too many", len(body))
			}
			return
		}
		if len(body) > maxBody || !json.Valid([]byte(body)) {
			t.Errorf("%q was taken", body)
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Errorf("%q was taken, and is no object: %v", body, err)
		}
		for name, value := range members {
			if !strings.EqualFold(name, "name") {
				t.Errorf("%q was taken, with the unknown member %q", body, name)
			}
			if text, ok := value.(string); ok && len(members) == 1 && text != got.Name {
				t.Errorf("%q was read as %q", body, got.Name)
			}
		}
	})
}
