package rule

import "slices"

// Check is one kind of finding.
type Check struct {
	ID       string
	Severity Severity // the usual one; a finding says its own
	Title    string   // what is wrong, in a few words
	Client   string   // what a client sees
	Mend     string   // what to do about it
}

// The ids of findings about rules. Readers have more, for what is wrong with a
// file.
const (
	CheckLoop            = "loop"
	CheckTooManyHops     = "too-many-hops"
	CheckTargetRefused   = "target-refused"
	CheckChain           = "chain"
	CheckShadowed        = "shadowed"
	CheckDuplicate       = "duplicate"
	CheckNeverMatches    = "never-matches"
	CheckDiffersInCase   = "differs-in-case"
	CheckMethodLost      = "method-lost"
	CheckPreflight       = "preflight"
	CheckPrefixTwice     = "prefix-twice"
	CheckDoubledSlash    = "doubled-slash"
	CheckQueryTwice      = "query-twice"
	CheckQueryLost       = "query-lost"
	CheckHTTPSToHTTP     = "https-to-http"
	CheckHostBeforeHTTPS = "host-before-https"
	CheckACMEPath        = "acme-path"
	CheckBodyElsewhere   = "body-to-other-origin"
	CheckHostFromRequest = "host-from-request"
	CheckAuthority       = "capture-in-authority"
	CheckPermanentEnd    = "permanent-with-end"
	CheckUnusedCapture   = "unused-capture"
	CheckSlowRegexp      = "slow-regexp"
	CheckNotTried        = "not-tried"
	CheckInvalid         = "invalid"
)

// checklist is in the order in which docs/checks.md has it: worst first.
var checklist = []Check{
	{
		CheckLoop, Error, "the redirect never ends",
		"ERR_TOO_MANY_REDIRECTS: a browser gives up after 20 hops, and shows nothing",
		"take out the rule of the loop that is wrong",
	},
	{
		CheckTooManyHops, Error, "there are more hops than a client follows",
		"an error after 20 hops, as with a loop",
		"send the first rule straight to the end",
	},
	{
		CheckTargetRefused, Error, "the target is refused for every request",
		"400 instead of a redirect",
		"write a path on this site, an http or https URL, or list the origins that may come out",
	},
	{
		CheckInvalid, Error, "the rule cannot be read",
		nothingLive,
		"write the field as the message says",
	},
	{
		CheckChain, Warning, "the target is redirected again",
		"one more round trip for each hop, and search engines that lose patience",
		"send the first rule straight to the end",
	},
	{
		CheckShadowed, Warning, "the rule never gets a request, since another takes all of them",
		"the answer of the other rule",
		"take the rule out, or move or narrow the other one",
	},
	{
		CheckDuplicate, Warning, "another rule is for the very same requests",
		"the answer of the rule that is tried first",
		"keep one of the two",
	},
	{
		CheckNeverMatches, Warning, "no request can match the rule",
		"what would be there without the rule",
		"mend the condition, or take the rule out",
	},
	{
		CheckDiffersInCase, Info, "two paths are the same but for the case of letters",
		"another page, or the same by two rules, as the letters happen to be typed",
		"keep one of the two, with ignore_case",
	},
	{
		CheckMethodLost, Warning, "a request that is not GET or HEAD loses its method, and its body",
		"a form or an API call that is sent to the old address arrives as GET, without its body, and nothing is stored",
		"say intent moved or temporary (308, 307), with legacy: true where old clients matter; intent result, where GET is meant; or methods: [GET, HEAD]",
	},
	{
		CheckPreflight, Warning, "a CORS preflight meets the redirect",
		"a script's cross-origin request fails: browsers follow no redirect for a preflight (Fetch standard)",
		"leave OPTIONS out of methods, and let scripts use the new address",
	},
	{
		CheckPrefixTwice, Warning, "the target carries the rule's own prefix a second time",
		"404: /api/v2/api/v1/users instead of /api/v2/users",
		"use {*}, what the star stands for, instead of {path}",
	},
	{
		CheckDoubledSlash, Warning, "the target gets two slashes in a row",
		"404 from servers that take // for another path",
		"leave one of the two slashes out",
	},
	{
		CheckQueryTwice, Warning, "the query goes along twice",
		"parameters twice: ?a=1&a=1",
		"leave {query} out of the target, or say target_query: drop",
	},
	{
		CheckQueryLost, Info, "the request's query is dropped, since the target has one of its own",
		"parameters of links, campaigns and searches are gone",
		"say target_query: merge or append; or drop, where it is meant",
	},
	{
		CheckHTTPSToHTTP, Warning, "the redirect leads from https to http",
		"the request goes over the network in the clear; scripts and pages with HSTS are refused",
		"send them to https",
	},
	{
		CheckHostBeforeHTTPS, Warning, "http is redirected to another host before https on the same one",
		"HSTS is never seen for the first host, and hstspreload.org refuses it",
		"redirect to https on the same host first, then to the other host",
	},
	{
		CheckACMEPath, Warning, "the ACME challenge path is caught",
		"a certificate authority cannot validate the host, and the certificate runs out",
		"let /.well-known/acme-challenge/* pass: a rule with intent pass before this one",
	},
	{
		CheckBodyElsewhere, Info, "307 or 308 sends what was posted to another origin",
		"the body, passwords included, goes to that origin",
		"make sure that it is yours; else say methods: [GET, HEAD] or intent result",
	},
	{
		CheckHostFromRequest, Info, "the target's host comes from the request",
		"whoever can choose the Host header chooses where it leads, among the listed origins",
		"write the host out",
	},
	{
		CheckAuthority, Info, "a capture stands in the target's host",
		"400 for every request whose host would not be a listed origin",
		"write one rule for each host, if they are few",
	},
	{
		CheckPermanentEnd, Warning, "a permanent redirect has an end",
		"whoever has seen it goes on using it from the cache, after the end",
		"say intent temporary",
	},
	{
		CheckUnusedCapture, Info, "a capture is not used",
		"the same target, whatever stood there",
		"use it in the target, or write * or a group without a name",
	},
	{
		CheckSlowRegexp, Info, "the regular expression requires no text that could be looked up",
		"nothing, but it is tried for every request that no better rule takes",
		"anchor it with ^ and begin it with plain text, or write it as a path",
	},
	{
		CheckNotTried, Info, "no example request was found that the rule answers",
		"nothing; loops and shadows were not looked for from here",
		"try it by hand with seeother match",
	},
}

// filelist is what readers find in files, and about them.
var filelist = []Check{
	{"no-files", Error, "a pattern matches no file", nothingLive, "mend the pattern, or take it out"},
	{"not-a-file", Error, "a folder, a device or a socket stands where a file should", nothingLive, "name the files in it"},
	{"unreadable", Error, "the file cannot be read", nothingLive, "put the file there, and let this user read it"},
	{"unknown-format", Error, "the file's name does not say what is in it", nothingLive, "name it _redirects, or end it in .redirects, .csv, .tsv, .jsonl, .ndjson, .yaml or .yml"},
	{"too-many-files", Error, "there are more files than are read", nothingLive, "put the rules into fewer files"},
	{"too-many-rules", Error, "there are more rules, or more text, than a table holds", nothingLive, "use patterns instead of single paths"},
	{"too-large", Error, "a YAML file is too large", nothingLive, "write such a set as JSON Lines or CSV"},
	{"empty-file", Error, "there is no rule in the file", nothingLive, "take the file out, or see whether it was cut off"},
	{"line-too-long", Error, "a line is too long to be a rule", nothingLive, "see whether the line ends are right"},
	{"bad-bytes", Error, "a line has bytes that are no text", nothingLive, "save the file as UTF-8, or percent-encode what is not ASCII"},
	{"utf-16", Error, "the file is UTF-16", nothingLive, "save it as UTF-8"},
	{"bad-line", Error, "a line of _redirects is no rule", nothingLive, "write a path, a target and maybe a status"},
	{"bad-status", Error, "a status of _redirects is no number", nothingLive, "write three digits"},
	{"unknown-placeholder", Error, "a target of _redirects uses a placeholder that the path does not have", nothingLive, "write a placeholder as a whole segment of the path"},
	{"condition", Warning, "a condition of _redirects cannot be told here, and the line was left out", "what later lines say, or the app", "let the app do it, or write a rule with when"},
	{"not-a-redirect", Warning, "a line of _redirects is no redirect", "what the app has there", "let the app do it"},
	{"self-redirect", Warning, "a line of _redirects leads to its own path, and does nothing, as with Netlify", "what the app has there", "take the line out"},
	{"page-not-sent", Info, "410 is sent without the page that a line names", "410 with a short text", "nothing, if that is good enough"},
	{"port-ignored", Warning, "the port of a URL does not count", "the redirect, whatever the port", "leave the port out"},
	{"query-ignored", Warning, "the query of a URL in _redirects does not count", "the redirect, whatever the query", "write parameters after the path"},
	{"no-slash", Warning, "a path of _redirects has no slash at its start, and counts as if it had", "the redirect at the path with the slash", "write the slash"},
	{"no-parameter", Warning, "a word of _redirects is no parameter, and does not count", "the redirect, whatever the word was meant for", "write a space in a path as %20"},
	{"no-header", Error, "a CSV file does not say what its columns are", nothingLive, "begin it with: path,target,status"},
	{"bad-csv", Error, "a record of a CSV file is malformed", nothingLive, "close the quote, or write as many fields as there are columns"},
	{"unknown-column", Warning, "a column of a CSV file is not known, and does not count", "redirects that do not mind what stands there", "see whether the name is spelled right"},
	{"bad-header", Error, "the first line of a JSON Lines file is not understood", nothingLive, "write {\"seeother\":\"rules/1\",\"mode\":\"specific\"}, or leave it out"},
	{"too-many-findings", Info, "a file has more findings than are listed", "see the others", "mend those that are listed, and check again"},
}

const nothingLive = "nothing new: the table does not go live, and the one before stays"

// Checks are all kinds of findings: those about rules, worst first, and then
// those about files.
func Checks() []Check { return slices.Concat(checklist, filelist) }

// checkOf is the kind that id names.
func checkOf(id string) *Check {
	for i := range checklist {
		if checklist[i].ID == id {
			return &checklist[i]
		}
	}
	return nil
}
