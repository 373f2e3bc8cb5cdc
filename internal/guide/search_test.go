package guide

import (
	"strings"
	"testing"
)

func TestAnErrorTextFindsItsCard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, query, want string }{
		{"an id", "hsts-missing", "hsts-missing"},
		{"an id with a letter wrong", "hsts-misssing", "hsts-missing"},
		{"a browser's error", "net::ERR_TOO_MANY_REDIRECTS", "redirect-loop"},
		{"a browser's question", "Confirm Form Resubmission", "refresh-resubmits"},
		{"two words with letters wrong", "doubel clikc", "double-click-two-orders"},
		{"a framework's error within a log", `Internal Server Error: RuntimeError: You called this URL via POST, but the URL doesn't end in a slash and you have APPEND_SLASH set. Django can't`, "django-append-slash"},
		{"a configuration's line", "return 301 https://$host$uri;", "nginx-uri-crlf"},
		{"an issue", "golang/go#71161", "go-redirect-backslash"},
		{"a word of the mechanism", "SSL stripping", "hsts-missing"},
		{"an acronym", "CWE-601", "open-redirect"},
		{"the id of a finding", "host-from-request", "host-header-redirect"},
		{"the id of a finding with a letter wrong", "post-answered-page", "refresh-resubmits"},
		{"Django's refusal", "django.core.exceptions.DisallowedHost: Invalid HTTP_HOST header: 'evil.example'. You may need to add 'evil.example' to ALLOWED_HOSTS.", "host-header-redirect"},
		{"Rails' refusal", `Unsafe redirect to "https://evil.example/", pass allow_other_host: true to redirect anyway.`, "open-redirect"},
		{"Chromium's refusal", "net::ERR_UNSAFE_REDIRECT", "redirect-to-nothing"},
		{"a word with two letters wrong", "dubble order", "double-click-two-orders"},
		{"what people say", "customer was charged twice", "double-click-two-orders"},
		{"what people call it", "trailing slash", "slash-redirect-loses-post"},
		{"a product and its trouble", "cloudflare flexible ssl loop", "x-forwarded-proto-loop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hits := Search(c.query, 5)
			if len(hits) == 0 || hits[0].Card.ID != c.want {
				t.Errorf("%q finds %v, want %s first", c.query, ids(hits), c.want)
			}
		})
	}
}

func TestEverySignatureFindsItsCard(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		for _, s := range c.Signature {
			found := false
			for _, h := range Search(s, 8) {
				found = found || h.Card.ID == c.ID
			}
			if !found {
				t.Errorf("%s: %q finds %v", c.ID, s, ids(Search(s, 8)))
			}
		}
	}
}

func TestEveryFindingFindsItsCardAlone(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		for _, id := range c.Findings {
			want, _ := For(id)
			if hits := Search(id, 5); len(hits) == 0 || hits[0].Card.ID != want {
				t.Errorf("%s finds %v, want %s first", id, ids(hits), want)
			}
		}
	}
}

func TestASearchForNothingFindsNothing(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"", " ", "the", "zzzzqqq xkcdwww", "%%%", "\x00\xff",
		"how do I cook rice", "weather tomorrow", "how to install postgres", "python list comprehension", "segmentation fault", "permission denied",
		"mysql deadlock found when trying to get lock", "kubernetes pod crash", "out of memory", "disk full", "CSRF verification failed",
		"rewrite or internal redirection cycle while internally redirecting to",
	} {
		if hits := Search(query, 5); len(hits) > 0 {
			t.Errorf("%q finds %v", query, ids(hits))
		}
	}
}

func ids(hits []Hit) []string {
	var out []string
	for _, h := range hits {
		out = append(out, h.Card.ID)
	}
	return out
}

func FuzzSearch(f *testing.F) {
	f.Add("change default redirect code to 303")
	f.Add(strings.Repeat("redirect ", 1000))
	f.Add("\xff\xfe\x00")
	f.Fuzz(func(t *testing.T, query string) {
		if n := len(Search(query, 3)); n > 3 {
			t.Errorf("%d hits", n)
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	for b.Loop() {
		newIndex(All())
	}
}

func BenchmarkSearch(b *testing.B) {
	for b.Loop() {
		Search("change default redirect code to 303", 5)
	}
}

func BenchmarkSearchLongQuery(b *testing.B) {
	query := strings.Repeat("doubel clikc on submitt makes two oders ", 100)
	for b.Loop() {
		Search(query, 5)
	}
}
