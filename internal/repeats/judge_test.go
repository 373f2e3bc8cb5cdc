package repeats

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	chrome  = "Mozilla/5.0 Chrome/138.0"
	firefox = "Mozilla/5.0 Firefox/140.0"
)

// lines writes a log in the combined format: "SECONDS CLIENT REQUEST STATUS [AGENT]".
func lines(short ...string) string {
	var b strings.Builder
	for _, s := range short {
		f := strings.SplitN(s, " ", 6)
		var second int
		_, _ = fmt.Sscan(f[0], &second)
		at := time.Unix(began, 0).UTC().Add(time.Duration(second) * time.Second).Format("02/Jan/2006:15:04:05 -0700")
		agent := chrome
		if len(f) > 5 {
			agent = f[5]
		}
		fmt.Fprintf(&b, "%s - - [%s] \"%s %s HTTP/1.1\" %s 10 \"-\" \"%s\"\n", f[1], at, f[2], f[3], f[4], agent)
	}
	return b.String()
}

// TestJudge: what a few lines are judged as. A finding is "CLASS METHOD ROUTE SURE SETTING".
func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		forms  = "forms: {stage: enforce}"
		oncely = "once: {required: true}"
	)
	for name, c := range map[string]struct {
		log  []string
		want []string
	}{
		"the same within 2 s is a double click": {
			[]string{"0 1.1.1.1 POST /a 303", "1 1.1.1.1 POST /a 303"},
			[]string{"double-click POST /a high " + forms},
		},
		"after 2 s it is a retry": {
			[]string{"0 1.1.1.1 POST /a 200", "2 1.1.1.1 POST /a 200"},
			[]string{"retry POST /a medium " + forms},
		},
		"after a page it was sent from there": {
			[]string{"0 1.1.1.1 POST /a 303", "0 1.1.1.1 GET /done 200", "9 1.1.1.1 POST /a 303"},
			[]string{"resubmit POST /a medium " + forms},
		},
		"when the form was opened again it may be another": {
			[]string{"0 1.1.1.1 POST /a 303", "5 1.1.1.1 GET /a 200", "9 1.1.1.1 POST /a 303"},
			[]string{"resubmit POST /a low " + forms},
		},
		"parts of a page are no page": {
			[]string{"0 1.1.1.1 POST /a 200", "1 1.1.1.1 GET /a.css?v=1 200", "9 1.1.1.1 POST /a 200"},
			[]string{"retry POST /a medium " + forms},
		},
		"three clicks are two too many": {
			[]string{"0 1.1.1.1 POST /a 200", "0 1.1.1.1 POST /a 200", "1 1.1.1.1 POST /a 200"},
			[]string{"double-click POST /a high x2 " + forms},
		},
		"six in a row are a program": {
			[]string{"0 1.1.1.1 POST /a 200", "5 1.1.1.1 POST /a 200", "10 1.1.1.1 POST /a 200", "15 1.1.1.1 POST /a 200", "20 1.1.1.1 POST /a 200", "25 1.1.1.1 POST /a 200"},
			nil,
		},
		"later than the window nothing is said": {[]string{"0 1.1.1.1 POST /a 200", "31 1.1.1.1 POST /a 200"}, nil},
		"other clients are others": {
			[]string{"0 1.1.1.1 POST /a 200", "0 1.1.1.2 POST /a 200", "0 1.1.1.1 POST /a 200 " + firefox},
			nil,
		},
		"another query is another submission":      {[]string{"0 1.1.1.1 POST /a?x=1 200", "0 1.1.1.1 POST /a?x=2 200"}, nil},
		"another method is another":                {[]string{"0 1.1.1.1 POST /a 200", "0 1.1.1.1 PUT /a 200"}, nil},
		"what was refused did not run":             {[]string{"0 1.1.1.1 POST /a 422", "1 1.1.1.1 POST /a 303", "2 1.1.1.1 POST /a 401"}, nil},
		"what was redirected with 307 is the same": {[]string{"0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /a 200"}, nil},
		"GET and HEAD are repeated as one likes":   {[]string{"0 1.1.1.1 GET /a 200", "0 1.1.1.1 GET /a 200", "0 1.1.1.1 HEAD /a 200"}, nil},
		"ids in paths are one route": {
			[]string{"0 1.1.1.1 POST /a/17 200", "0 1.1.1.1 POST /a/17 200", "60 1.1.1.1 POST /a/18 200", "60 1.1.1.1 POST /a/18 200"},
			[]string{"double-click POST /a/{id} high x2 " + forms},
		},
		"a busy address lowers it": {
			[]string{"0 1.1.1.1 POST /b 200 Mozilla/5.0 x", "0 1.1.1.1 POST /c 200 Mozilla/5.0 y", "0 1.1.1.1 POST /a 200", "0 1.1.1.1 POST /a 200"},
			[]string{"double-click POST /a medium " + forms},
		},
		"a PUT should do no harm": {
			[]string{"0 1.1.1.1 PUT /a 200", "0 1.1.1.1 PUT /a 200"},
			[]string{"double-click PUT /a medium once: {required: true, methods: [POST, PATCH, PUT, DELETE]}"},
		},
		"a program may mean both": {
			[]string{"0 1.1.1.1 POST /a 200 curl/8.1", "1 1.1.1.1 POST /a 200 curl/8.1"},
			[]string{"retry POST /a low " + oncely},
		},
		"sent again after 504 it may have run twice": {
			[]string{"0 1.1.1.1 POST /a 504 agent/1", "9 1.1.1.1 POST /a 200 agent/1"},
			[]string{"rerun POST /a medium " + oncely},
		},
		"after 500 less sure": {
			[]string{"0 1.1.1.1 POST /a 500 agent/1", "9 1.1.1.1 POST /a 200 agent/1"},
			[]string{"rerun POST /a low " + oncely},
		},
		"503 says that nothing was done": {[]string{"0 1.1.1.1 POST /a 503 agent/1", "9 1.1.1.1 POST /a 200 agent/1"}, nil},
		"a webhook has an id of its own, and may be of another event": {
			[]string{"0 1.1.1.1 POST /h 502 Stripe/1.0", "9 1.1.1.1 POST /h 200 Stripe/1.0"},
			[]string{"rerun POST /h low once: {key: stripe}"},
		},
		"a form that came back with 200, and was corrected": {
			[]string{"0 1.1.1.1 POST /signup 200", "9 1.1.1.1 POST /signup 302", "9 1.1.1.1 GET /home 200"},
			[]string{"retry POST /signup low " + forms},
		},
		"nobody corrects a form within a second": {
			[]string{"0 1.1.1.1 POST /signup 200", "1 1.1.1.1 POST /signup 302"},
			[]string{"double-click POST /signup medium " + forms},
		},
		"corrected twice": {
			[]string{"0 1.1.1.1 POST /signup 200", "9 1.1.1.1 POST /signup 200", "15 1.1.1.1 POST /signup 302"},
			[]string{"retry POST /signup low x2 " + forms},
		},
		"the second was refused with a page": {
			[]string{"0 1.1.1.1 POST /signup 302", "1 1.1.1.1 POST /signup 200"},
			[]string{"double-click POST /signup medium " + forms},
		},
		"302 and 303 are the same kind of answer": {
			[]string{"0 1.1.1.1 POST /signup 302", "1 1.1.1.1 POST /signup 303"},
			[]string{"double-click POST /signup high " + forms},
		},
		"200 and 204 are, too": {
			[]string{"0 1.1.1.1 POST /like 200", "1 1.1.1.1 POST /like 204"},
			[]string{"double-click POST /like high " + forms},
		},
		"a page's queries of GraphQL": {
			[]string{"0 1.1.1.1 POST /api/GraphQL?op=1 200", "0 1.1.1.1 POST /api/GraphQL?op=1 200", "1 1.1.1.1 POST /api/GraphQL?op=1 200"},
			[]string{"double-click POST /api/GraphQL low x2 " + forms},
		},
		"the heartbeat of WordPress": {
			[]string{"0 1.1.1.1 POST /wp-admin/admin-ajax.php 200", "15 1.1.1.1 POST /wp-admin/admin-ajax.php 200"},
			[]string{"retry POST /wp-admin/admin-ajax.php low " + forms},
		},
		"a name that only holds such a word": {
			[]string{"0 1.1.1.1 POST /research 200", "1 1.1.1.1 POST /research 200"},
			[]string{"double-click POST /research high " + forms},
		},
		"a wrong password": {
			[]string{"0 1.1.1.1 POST /login 200", "9 1.1.1.1 POST /login 200"},
			[]string{"retry POST /login low " + forms},
		},
		"a wrong password where the answer is a redirect": {
			[]string{"0 1.1.1.1 POST /login 302", "0 1.1.1.1 GET /login 200", "9 1.1.1.1 POST /login 302", "9 1.1.1.1 GET /home 200"},
			[]string{"resubmit POST /login low " + forms, "lost-method POST /login low canonical: {origin: \"https://www.example.com\", https: true}"},
		},
		"two people behind one address, each of whom opened the form": {
			[]string{"0 1.1.1.1 GET /quiz 200", "3 1.1.1.1 GET /quiz 200", "9 1.1.1.1 POST /quiz 303", "12 1.1.1.1 POST /quiz 303"},
			[]string{"retry POST /quiz low " + forms},
		},
		"one who opened the form once": {
			[]string{"0 1.1.1.1 GET /quiz 200", "9 1.1.1.1 POST /quiz 303", "12 1.1.1.1 POST /quiz 303"},
			[]string{"retry POST /quiz medium " + forms},
		},
		"a double click cuts the first off": {
			[]string{"0 1.1.1.1 POST /a 499", "1 1.1.1.1 POST /a 303"},
			[]string{"double-click POST /a medium " + forms},
		},

		"301 and GET with a slash lost the fields": {
			[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /a/ 200"},
			[]string{`lost-method POST /a high canonical: {origin: "https://www.example.com", slash: add}`},
		},
		"302 and GET without a slash, too": {
			[]string{"0 1.1.1.1 POST /a/ 302", "1 1.1.1.1 GET /a 405"},
			[]string{`lost-method POST /a/ high canonical: {origin: "https://www.example.com", slash: remove}`},
		},
		"clicked twice, it was lost twice": {
			[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 POST /a 301", "1 1.1.1.1 GET /a/ 200"},
			[]string{`lost-method POST /a high x2 canonical: {origin: "https://www.example.com", slash: add}`},
		},
		"301 and the same path: to https": {
			[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /a 200"},
			[]string{`lost-method POST /a high canonical: {origin: "https://www.example.com", https: true}`},
		},
		"302 and the same path is also what apps do": {
			[]string{"0 1.1.1.1 POST /a 302", "0 1.1.1.1 GET /a 200"},
			[]string{`lost-method POST /a low canonical: {origin: "https://www.example.com", https: true}`},
		},
		"301 to another path": {
			[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /b 200"},
			[]string{"lost-method POST /a medium rules: [{path: /a, intent: moved, target: /b}]"},
		},
		"302 and 303 to another path are Post/Redirect/Get": {
			[]string{"0 1.1.1.1 POST /a 302", "0 1.1.1.1 GET /b 200", "60 1.1.1.1 POST /c 303", "60 1.1.1.1 GET /c/ 200"},
			nil,
		},
		"what comes much later does not follow":    {[]string{"0 1.1.1.1 POST /a 301", "6 1.1.1.1 GET /a/ 200"}, nil},
		"what another client gets does not follow": {[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.2 GET /a/ 200"}, nil},
		"the page may be logged before the submission": {
			[]string{"0 1.1.1.1 GET /a/ 200", "0 1.1.1.1 POST /a 301"},
			nil, // its time is the same, and so the order of lines counts
		},
		"DELETE answered 302 deletes the list": {
			[]string{"0 1.1.1.1 DELETE /users/9 302", "0 1.1.1.1 DELETE /users 204"},
			[]string{"method-kept DELETE /users/{id} high see_other: {stage: enforce}"},
		},
		"DELETE answered 302 that the list refuses": {
			[]string{"0 1.1.1.1 DELETE /users/9 302", "0 1.1.1.1 DELETE /users 405"},
			[]string{"method-kept DELETE /users/{id} high see_other: {stage: enforce}"},
		},
		"one deletion after the other is none of that": {
			[]string{"0 1.1.1.1 DELETE /users/9 302", "0 1.1.1.1 DELETE /users/10 302", "1 1.1.1.1 GET /users 200"},
			nil,
		},
		"DELETE with 303 is as it should be": {[]string{"0 1.1.1.1 DELETE /users/9 303", "0 1.1.1.1 GET /users 200"}, nil},
		"two redirects with 308 are a chain": {
			[]string{"0 1.1.1.1 POST /a 308", "0 1.1.1.1 POST /b 308", "0 1.1.1.1 POST /c 201"},
			[]string{"redirect-chain POST /a high rules: [{path: /a, intent: moved, target: /c}]"},
		},
		"back to where it began is a loop": {
			[]string{"0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /b 307", "0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /b 307"},
			[]string{"redirect-loop POST /a high rules: [{path: /old, intent: moved, target: /last}]"},
		},
		"to itself is a loop, too": {
			[]string{"0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /a 307", "1 1.1.1.1 POST /a 307"},
			[]string{"redirect-loop POST /a high rules: [{path: /old, intent: moved, target: /last}]"},
		},
		"one redirect with 308 is as it should be": {[]string{"0 1.1.1.1 POST /a 308", "0 1.1.1.1 POST /a/ 201"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := mustRead(t, Options{}, text("access.log", lines(c.log...)))
			if got := short(r); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if r.Summary.Malformed > 0 {
				t.Errorf("%+v", r.Summary.Bad)
			}
		})
	}
}

// Where a submission is often repeated, that may be how the route is used.
func TestUsualRepetitionsAreLessSure(t *testing.T) {
	t.Parallel()
	for repeated, want := range map[int]string{1: "high", 3: "medium", 10: "low"} {
		var log []string
		for i := range 20 {
			log = append(log, fmt.Sprintf("%d 1.1.1.%d POST /a 200", i*100, i))
			if i < repeated {
				log = append(log, fmt.Sprintf("%d 1.1.1.%d POST /a 200", i*100+1, i))
			}
		}
		r := mustRead(t, Options{}, text("a", lines(log...)))
		if got := short(r); len(got) != 1 || !strings.Contains(got[0], " "+want) {
			t.Errorf("%d repeated: %q, want %s", repeated, got, want)
		}
	}
}

// short writes each group in one line.
func short(r *Report) []string {
	var out []string
	for _, g := range append(append([]Group{}, r.Repeats...), r.Lost...) {
		sure := "low"
		if g.Sure.High > 0 {
			sure = "high"
		} else if g.Sure.Medium > 0 {
			sure = "medium"
		}
		if g.Count > 1 {
			sure += fmt.Sprint(" x", g.Count)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %s", g.Class, g.Method, g.Route, sure, g.Setting.YAML))
	}
	return out
}

// Each group names the card that explains it, and all cards that can be named are.
func TestCards(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for name, c := range map[string]struct {
		log  []string
		want string
	}{
		"a double click":                   {[]string{"0 1.1.1.1 POST /a 303", "1 1.1.1.1 POST /a 303"}, cardDoubleClick},
		"refresh of a page with 200":       {[]string{"0 1.1.1.1 POST /a 200", "9 1.1.1.1 POST /a 200"}, cardRefresh},
		"Back, from what was kept":         {[]string{"0 1.1.1.1 POST /a 303", "9 1.1.1.1 POST /a 303"}, cardBack},
		"Back, by way of a page":           {[]string{"0 1.1.1.1 POST /a 303", "1 1.1.1.1 GET /b 200", "9 1.1.1.1 POST /a 303"}, cardBack},
		"a program":                        {[]string{"0 1.1.1.1 POST /a 200 curl/8.1", "9 1.1.1.1 POST /a 200 curl/8.1"}, cardAgent},
		"a webhook":                        {[]string{"0 1.1.1.1 POST /a 502 Stripe/1.0", "9 1.1.1.1 POST /a 200 Stripe/1.0"}, cardWebhook},
		"a proxy that did not wait":        {[]string{"0 1.1.1.1 POST /a 504", "9 1.1.1.1 POST /a 200"}, cardTimeout},
		"an app that died":                 {[]string{"0 1.1.1.1 POST /a 502", "9 1.1.1.1 POST /a 200"}, cardWorker},
		"a slash":                          {[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /a/ 200"}, cardLostSlash},
		"https":                            {[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /a 200"}, cardLostHTTPS},
		"another path":                     {[]string{"0 1.1.1.1 POST /a 301", "0 1.1.1.1 GET /b 200"}, cardLostMethod},
		"a deletion that deletes the list": {[]string{"0 1.1.1.1 DELETE /u/9 302", "0 1.1.1.1 DELETE /u 204"}, cardKept},
		"a chain":                          {[]string{"0 1.1.1.1 POST /a 308", "0 1.1.1.1 POST /b 308", "0 1.1.1.1 POST /c 201"}, cardChain},
		"a loop":                           {[]string{"0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /b 307", "0 1.1.1.1 POST /a 307", "0 1.1.1.1 POST /b 307"}, cardLoop},
	} {
		r := mustRead(t, Options{}, text("a", lines(c.log...)))
		groups := append(r.Repeats, r.Lost...)
		if len(groups) != 1 || groups[0].Card != c.want {
			t.Errorf("%s: %+v, want %s", name, groups, c.want)
		}
		seen[c.want] = true
	}
	keyed := `{"msec":1790000000.1,"remote_addr":"1.1.1.1","http_user_agent":"curl/8","request":"POST /a HTTP/1.1","status":200,"http_idempotency_key":"k"}` + "\n"
	if r := mustRead(t, Options{}, text("a", keyed+keyed)); len(r.Repeats) != 1 || r.Repeats[0].Card != cardSameKey {
		t.Errorf("the same key: %+v", r.Repeats)
	}
	seen[cardSameKey] = true
	for _, id := range Cards() {
		if !seen[id] {
			t.Errorf("no test for %s", id)
		}
	}
}

// A 502 within an instant did not reach the app; after a time it may have.
func TestBadGatewayAtOnceIsLessSure(t *testing.T) {
	t.Parallel()
	for took, want := range map[string]string{"0.001": "low", "7.5": "medium"} {
		line := func(at, status int, took string) string {
			return fmt.Sprintf(`{"msec":%d.000,"request_time":%s,"remote_addr":"1.1.1.1","http_user_agent":"agent/1","request":"POST /a HTTP/1.1","status":%d}`+"\n", began+at, took, status)
		}
		r := mustRead(t, Options{}, text("a", line(10, 502, took)+line(20, 200, "0.1")))
		if got := short(r); len(got) != 1 || got[0] != "rerun POST /a "+want+" once: {required: true}" {
			t.Errorf("after %s s: %q, want %s", took, got, want)
		}
	}
}

// With one Idempotency-Key it is the same submission; whether it ran twice is open.
func TestTheSameKeyMayHaveRunOnce(t *testing.T) {
	t.Parallel()
	line := `{"msec":1790000000.1,"remote_addr":"1.1.1.1","http_user_agent":"curl/8","request":"POST /a HTTP/1.1","status":200,"http_idempotency_key":"k"}` + "\n"
	r := mustRead(t, Options{}, text("a", line+line))
	if len(r.Repeats) != 1 || !slices.Contains(r.Repeats[0].Reasons, Reason{reasonTexts[keptKey], 1, "open"}) {
		t.Errorf("%+v", r.Repeats)
	}
}
