// Package configfile reads seeother's configuration file: YAML in, a File out,
// or errors that name the line, show it, and say what to write instead.
//
// The doc comments of this file's types and fields are also the descriptions
// in the JSON Schema and in docs/configuration.md; `go test -run Generated
// -update` in this folder writes both again.
package configfile

import (
	"time"

	"github.com/seeother/seeother"
)

// File is the whole configuration. A key that is not in the file has its
// default; an empty file is a good one.
type File struct {
	// Version of the file's format. There is only 1.
	Version int `yaml:"version" jsonschema:"enum=1"`
	// Where clients connect: host and port. Port 0 takes a free one.
	Listen string `yaml:"listen"`
	// The pages, metrics and API for operators.
	Admin Admin `yaml:"admin"`
	// The app behind the gateway: its address, or a mapping with its address and how to connect. `seeother run UPSTREAM` and `seeother run -- COMMAND` say it too, and win.
	Upstream Upstream `yaml:"upstream"`
	// The folder of the embedded store. It is created, for its owner alone. Empty: the folder that systemd gives (`$STATE_DIRECTORY`), or else `seeother-data` where the command is run.
	Data string `yaml:"data"`
	// The URL of the store, where it is not the embedded one in `data`: `redis://host:port` (Redis, Valkey), `postgres://host/database`, `journal:///folder` or `bolt:///folder` (embedded), or `memory:` for tests (it forgets everything at the end). See [stores](stores.md).
	Store string `yaml:"store"`
	// What the gateway writes about its work.
	Log Log `yaml:"log"`
	// Whom the gateway believes.
	Trust Trust `yaml:"trust"`
	// Bounds on what clients may ask for, and for how long.
	Limits Limits `yaml:"limits"`
	// Tell the browser's tools what was decided, in a Server-Timing header of the answers that were changed, replayed or refused.
	ServerTiming bool `yaml:"server_timing"`
	// Change nothing at all: every stage that is higher is `report`.
	ReportOnly bool `yaml:"report_only"`
	// Answer 303 where the app answered a submission with 302. The default for all routes.
	SeeOther SeeOther `yaml:"see_other"`
	// The one address of the site: https, the host, slashes at the end.
	Canonical Canonical `yaml:"canonical"`
	// Redirect rules. They are asked before anything else, and come into force when the file is saved.
	Rules []Rule `yaml:"rules"`
	// Which of `rules` wins: the most specific one, or the first in the file.
	RulesMode string `yaml:"rules_mode" jsonschema:"enum=specific,enum=file-order"`
	// Files of further rules, and patterns such as `rules/*.csv`: `_redirects`, CSV, JSON Lines or YAML, by their names. A path is seen from the folder of this file. They are read again when they change.
	RuleFiles []string `yaml:"rule_files"`
	// How far all rules together are rolled out: `off`, `report`, `canary N%` or `enforce`. A rule with a lower stage of its own keeps that.
	RulesStage seeother.Stage `yaml:"rules_stage"`
	// Run a submission at most once. The default for all routes, and what holds for all of them together.
	Once Once `yaml:"once"`
	// Make forms that are refreshed, double-clicked or gone back to start their work once. The default for all routes, and what holds for all of them together. See [forms](forms.md).
	Forms Forms `yaml:"forms"`
	// What becomes of guarded submissions that take long; see [operations](operations.md).
	Operations Operations `yaml:"operations"`
	// What becomes of requests while the site is down on purpose; see `seeother maintenance`.
	Maintenance Maintenance `yaml:"maintenance"`
	// What becomes of requests while the app fails its health checks.
	Failover Failover `yaml:"failover"`
	// Requests that must be answered as expected before a stage may rise.
	Smoke []Smoke `yaml:"smoke"`
	// Parts of the site that are treated differently. The first that matches counts; what none matches has the defaults above.
	Routes []Route `yaml:"routes"`
}

// Admin is where operators connect.
type Admin struct {
	// Host and port. Beyond loopback, a token is required. `off`: no admin listener.
	Listen string `yaml:"listen"`
	// A file that holds the token which every admin request must show, as `Authorization: Bearer TOKEN`. At least 16 characters.
	TokenFile string `yaml:"token_file"`
}

// Upstream is the app and how to connect to it.
type Upstream struct {
	// The app's address: a port on this machine (`5000`), a host with a port (`localhost:5000`) or a URL without a path (`https://app.internal`).
	URL Address `yaml:"url"`
	// How long connecting may take.
	DialTimeout Duration `yaml:"dial_timeout"`
	// How long the app may take to begin its answer, once it has the whole request. 0: for ever.
	ResponseTimeout Duration `yaml:"response_timeout"`
	// How long the app may take no part of a request. 0: for ever.
	SendTimeout Duration `yaml:"send_timeout"`
	// How long the app may pause in the middle of its answer to a guarded request; other answers may pause for as long as their clients wait. 0: for ever.
	AnswerTimeout Duration `yaml:"answer_timeout"`
	// How long an unused connection to the app is kept.
	IdleTimeout Duration `yaml:"idle_timeout"`
	// How many unused connections to the app are kept.
	MaxIdle int `yaml:"max_idle" jsonschema:"minimum=0,maximum=65536"`
	// How the app is looked at while nobody asks.
	Health HealthCheck `yaml:"health"`
}

// Address is where the app is, in the form of a URL.
type Address string

// UnmarshalText is ParseUpstream.
func (a *Address) UnmarshalText(text []byte) error {
	u, err := ParseUpstream(string(text))
	if err == nil {
		*a = Address(u.String())
	}
	return err
}

// UnmarshalText reads the short form, which is the address alone.
func (u *Upstream) UnmarshalText(text []byte) error { return u.URL.UnmarshalText(text) }

// Log is what the gateway writes about its work.
type Log struct {
	// `text` is for people, `json` is one object for each line.
	Format string `yaml:"format" jsonschema:"enum=text,enum=json"`
	// The least that is worth a line.
	Level string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
}

// Trust is whom the gateway believes.
type Trust struct {
	// Addresses of proxies in front of the gateway. Only what they say in X-Forwarded-* and Forwarded counts; from anybody else these headers are replaced.
	Proxies []Network `yaml:"proxies"`
}

// Limits are bounds on what clients may ask for, and for how long.
type Limits struct {
	// The largest request body; a larger one gets 413. 0: any size. Bodies stream, so a large one costs no memory.
	Body Size `yaml:"body"`
	// The largest request header, all fields together.
	Headers Size `yaml:"headers"`
	// How long a client may take to send its header.
	ReadHeaderTimeout Duration `yaml:"read_header_timeout"`
	// How long a client may pause in the middle of its body. 0: for ever.
	ReadTimeout Duration `yaml:"read_timeout"`
	// How long a client may take nothing of a large answer. 0: for ever.
	WriteTimeout Duration `yaml:"write_timeout"`
	// How long a connection without a request is kept.
	IdleTimeout Duration `yaml:"idle_timeout"`
	// How long a stop waits for what is running.
	DrainTimeout Duration `yaml:"drain_timeout"`
}

// SeeOther is the see-other policy: 303 where the app answered a POST, PUT,
// PATCH or DELETE with 302.
type SeeOther struct {
	// `off`, `report` (nothing changes, each would-be change is logged), `canary N%` (for so many of the clients) or `enforce`.
	Stage seeother.Stage `yaml:"stage"`
	// Also where a PUT or PATCH is sent to another origin. It is only reported otherwise, because an upload hand-off looks like that.
	CrossOrigin bool `yaml:"cross_origin"`
	// A submitted password must not travel on: a 307 or 308 in answer to a POST becomes 303 too.
	Credentials bool `yaml:"credentials"`
}

// Once is how submissions are made to run at most once, for the whole gateway.
type Once struct {
	OncePolicy `yaml:",inline"`

	// The name of the site, where clients reach its gateways under more than one host, as a standby site: a key is the same submission under each. All gateways of a store say the same. Empty: each host is a site of its own. Changing it makes every key new.
	Site string `yaml:"site"`
	// How long a duplicate waits for the first answer.
	Wait Duration `yaml:"wait"`
	// The most that a client may ask to wait, with `Prefer: wait=N`.
	MaxWait Duration `yaml:"max_wait"`
	// How long a start counts as running after its gateway was last heard of.
	Lease Duration `yaml:"lease"`
	// How long an answer is kept for duplicates.
	Retention Duration `yaml:"retention"`
	// How long it is known that a key was used, counted from the answer. Afterwards the key is new again.
	Tombstone Duration `yaml:"tombstone"`
	// How long a duplicate of the same principal gets the answer's Set-Cookie too.
	Cookies Duration `yaml:"cookies"`
	// How long an answer that is too large to keep is read on after its client went away.
	Linger Duration `yaml:"linger"`
	// A body up to this size is read whole before the app sees anything of it.
	Buffer Size `yaml:"buffer"`
	// A larger answer is not kept. Its duplicates are told so, and it does not run again.
	ResultLimit Size `yaml:"result_limit"`
	// Memory for all bodies and answers that are held at one time. Over it, bodies stream and answers are not kept.
	Memory Size `yaml:"memory"`
	// Bounds on how many there may be.
	Caps Caps `yaml:"caps"`
	// Keys that encrypt stored answers, and key the fingerprints.
	Encryption Encryption `yaml:"encryption"`
}

// Encryption says where keys are: 32 bytes each, one in a line, as hex or base64.
// The first encrypts, and all decrypt.
type Encryption struct {
	// A file with the keys.
	KeyFile string `yaml:"key_file"`
	// The environment variable that holds them, instead.
	KeyEnv string `yaml:"key_env"`
}

// OncePolicy is what a route can have of its own.
type OncePolicy struct {
	// `off`, `report` (nothing changes, each would-be change is logged), `canary N%` (for so many of the clients) or `enforce`.
	Stage seeother.Stage `yaml:"stage"`
	// Refuse a request without a key, with 400. Otherwise it goes through unguarded.
	Required bool `yaml:"required"`
	// Which methods are guarded.
	Methods []string `yaml:"methods" jsonschema:"enum=POST,enum=PATCH,enum=PUT,enum=DELETE"`
	// The request header that holds the key.
	Header string `yaml:"header"`
	// Where the key is instead, for webhooks and clients with keys of their own: `stripe`, `github` or `standard-webhooks`, the name of another header, or a JSON pointer into the body (`/id`). With a pointer each request must have a key.
	Key string `yaml:"key"`
	// A keyspace of its own: the same key in another scope is another submission. Changing it makes every key new.
	Scope string `yaml:"scope"`
	// Statuses with which the app vouches that it did nothing (401, 422, 429 are usual): the key may be used again.
	NotApplied []int `yaml:"not_applied" jsonschema:"minimum=400,maximum=599"`
	// Let requests through, unguarded and marked, while the store is down. Otherwise they get 503.
	FailOpen bool `yaml:"fail_open"`
	// What a key gets of which nobody knows whether it ran: `block` answers 409 until somebody resolves it; `retry` sends it to the app again, which must drop repetitions of the key by itself; `probe` asks the URL in `probe`.
	OnUncertain string `yaml:"on_uncertain" jsonschema:"enum=block,enum=retry,enum=probe"`
	// An http or https URL that says what became of an uncertain submission; see [once](once.md#probe).
	Probe string `yaml:"probe"`
	// On whose behalf a request comes. Nobody gets the answer to somebody else.
	Principal Principal `yaml:"principal"`
	// Headers of the first answer to repeat to duplicates, beside the usual ones.
	ReplayHeaders []string `yaml:"replay_headers"`
}

// Principal says where the identity of a client is read from. The first that
// applies counts: the header, the cookie, Authorization, X-API-Key.
type Principal struct {
	// A header in which a proxy of `trust.proxies` names the user. It does not count from anybody else.
	Header string `yaml:"header"`
	// The session cookie.
	Cookie Cookie `yaml:"cookie"`
}

// Cookie is a session cookie that names the principal.
type Cookie struct {
	// The cookie's name.
	Name string `yaml:"name"`
	// Say `true` when the cookie's value stays the same from login to logout. A cookie whose value changes with each answer cannot name anybody.
	Stable bool `yaml:"stable"`
}

// Caps bound how many there may be, so that one client cannot fill the whole.
type Caps struct {
	// Uncertain records; at so many no new key starts (503).
	Uncertain int `yaml:"uncertain" jsonschema:"minimum=1,maximum=1000000"`
	// Uncertain records of one principal (429).
	UncertainPerPrincipal int `yaml:"uncertain_per_principal" jsonschema:"minimum=1,maximum=1000000"`
	// Requests that run or wait at one time (503).
	Active int `yaml:"active" jsonschema:"minimum=1,maximum=1000000"`
	// Requests that run or wait at one time for one principal, or for one address where there is no principal (429).
	ActivePerPrincipal int `yaml:"active_per_principal" jsonschema:"minimum=1,maximum=1000000"`
}

// Smoke is one request and the answer that it must get.
type Smoke struct {
	// Required. What to call it when it goes wrong.
	Name string `yaml:"name" jsonschema:"required"`
	// The request's method.
	Method string `yaml:"method"`
	// Required. The request's path, with a query if need be.
	Path string `yaml:"path" jsonschema:"required"`
	// Headers to send. Host sets the host.
	Headers map[string]string `yaml:"headers"`
	// The body to send.
	Body string `yaml:"body"`
	// What must come back.
	Expect Expect `yaml:"expect"`
}

// Expect is an expected answer.
type Expect struct {
	// The status.
	Status int `yaml:"status" jsonschema:"minimum=100,maximum=599"`
	// A text that the body must contain.
	Contains string `yaml:"contains"`
}

// Route is a part of the site and what is different there. Its `see_other`,
// `once` and `forms` begin as the file's own; what a route says replaces that one value.
type Route struct {
	// Required. A name of its own, for the log, the metrics and `seeother stage`.
	Name string `yaml:"name" jsonschema:"required"`
	// Required. Which paths: `/checkout` is that path alone, `/api/*` is `/api` and all below it, and a `*` in the middle is any one segment (`/users/*/orders`).
	Path string `yaml:"path" jsonschema:"required"`
	// Which methods. Empty: all.
	Methods []string `yaml:"methods"`
	// The see-other policy here.
	SeeOther SeeOther `yaml:"see_other"`
	// The run-once policy here.
	Once OncePolicy `yaml:"once"`
	// What is done for forms here.
	Forms FormPolicy `yaml:"forms"`
	// Answer submissions that take long before the app has, as `operations.enabled` says for all.
	Operation bool `yaml:"operation"`
	// A search, and which fields make it up.
	Search Search `yaml:"search"`
	// The largest request body here. Not set: that of `limits.body`.
	BodyLimit Size `yaml:"body_limit"`
	// Let guarded requests use connections to the app again. Faster, but a connection that the app closes just then leaves the outcome uncertain.
	Reuse bool `yaml:"reuse"`
}

// Default is what an empty file means.
func Default() File {
	return File{
		Version: 1,
		Listen:  "127.0.0.1:8303",
		Admin:   Admin{Listen: "127.0.0.1:8304"},
		Upstream: Upstream{
			DialTimeout:     seconds(5),
			ResponseTimeout: seconds(120),
			SendTimeout:     seconds(60),
			AnswerTimeout:   seconds(300),
			IdleTimeout:     seconds(90),
			MaxIdle:         512,
			Health:          defaultHealthCheck(),
		},
		Log: Log{Format: "text", Level: "info"},
		Limits: Limits{
			Headers:           64 << 10,
			ReadHeaderTimeout: seconds(10),
			ReadTimeout:       seconds(60),
			WriteTimeout:      seconds(60),
			IdleTimeout:       seconds(120),
			DrainTimeout:      seconds(30),
		},
		Canonical:   Canonical{Slash: "keep"},
		RulesMode:   "specific",
		Maintenance: defaultMaintenance(),
		Forms:       defaultForms(),
		Operations:  defaultOperations(),
		Once: Once{
			OncePolicy: OncePolicy{
				Methods:     []string{"POST", "PATCH"},
				Header:      "Idempotency-Key",
				OnUncertain: "block",
			},
			Wait: seconds(30), MaxWait: seconds(120), Lease: seconds(30), Cookies: seconds(30), Linger: seconds(300),
			Retention: seconds(24 * 3600), Tombstone: seconds(30 * 24 * 3600),
			Buffer: 1 << 20, ResultLimit: 1 << 20, Memory: 256 << 20,
			Caps: Caps{Uncertain: 10_000, UncertainPerPrincipal: 1_000, Active: 20_000, ActivePerPrincipal: 2_000},
		},
	}
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

// newSmoke and newRoute are what an entry of the lists begins as.
func (f *File) newSmoke() Smoke {
	return Smoke{Method: "GET", Expect: Expect{Status: 200}}
}

func (f *File) newRoute() Route {
	return Route{SeeOther: f.SeeOther, Once: f.Once.OncePolicy, Forms: f.Forms.FormPolicy, Operation: f.Operations.Enabled, BodyLimit: f.Limits.Body}
}
