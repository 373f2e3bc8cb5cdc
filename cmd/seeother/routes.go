package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/internal/rollout"
	"github.com/seeother/seeother/internal/trust"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
)

// Names of policies, as operators see them; a route's own has its name behind.
const (
	seeOtherPolicy = "see-other"
	oncePolicy     = "once"
	formPolicy     = "form"
)

// policyName is how a policy of a route is called; "" is what no route matches.
func policyName(policy, route string) string {
	if route == "" {
		return policy
	}
	return policy + " " + route
}

// wishes are the stages that a configuration asks for.
func wishes(file configfile.File) rollout.Stages {
	out := rollout.Stages{seeOtherPolicy: file.SeeOther.Stage, oncePolicy: file.Once.Stage, formPolicy: file.Forms.Stage, rulesPolicy: file.RulesStage}
	for _, route := range file.Routes {
		out[policyName(seeOtherPolicy, route.Name)] = route.SeeOther.Stage
		out[policyName(oncePolicy, route.Name)] = route.Once.Stage
		out[policyName(formPolicy, route.Name)] = route.Forms.Stage
	}
	return out
}

// smokes are the smoke requests of a configuration.
func smokes(file configfile.File) []rollout.Smoke {
	out := make([]rollout.Smoke, 0, len(file.Smoke))
	for _, s := range file.Smoke {
		header := make(http.Header, len(s.Headers))
		for name, value := range s.Headers {
			header.Set(name, value)
		}
		out = append(out, rollout.Smoke{
			Name: s.Name, Method: s.Method, Path: s.Path, Header: header, Body: s.Body,
			Status: s.Expect.Status, Contains: s.Expect.Contains,
		})
	}
	return out
}

// routes are the gateway's routes with these stages in force. The last takes
// what no other matches.
func routes(file configfile.File, stages rollout.Stages) []gateway.Route {
	proxies := proxies(file)
	out := make([]gateway.Route, 0, len(file.Routes)+1)
	for _, r := range file.Routes {
		limit := int64(r.BodyLimit)
		if limit == 0 {
			limit = -1 // the gateway's word for any size
		}
		out = append(out, gateway.Route{
			Name: r.Name, Path: r.Path, Methods: r.Methods, MaxBody: limit, Reuse: r.Reuse,
			SeeOther: seeOther(r.SeeOther, stages[policyName(seeOtherPolicy, r.Name)]),
			Once:     withForms(oncePolicyOf(file.Once.Site, r.Once, stages[policyName(oncePolicy, r.Name)], proxies), r.Forms),
			Form:     formPolicyOf(r.Forms, stages[policyName(formPolicy, r.Name)]),
			Flash:    r.Forms.Flash, Created: r.Forms.Created, Search: searchOf(r.Search),
			Operation: r.Operation,
		})
	}
	return append(out, gateway.Route{
		SeeOther: seeOther(file.SeeOther, stages[seeOtherPolicy]),
		Once:     withForms(oncePolicyOf(file.Once.Site, file.Once.OncePolicy, stages[oncePolicy], proxies), file.Forms.FormPolicy),
		Form:     formPolicyOf(file.Forms.FormPolicy, stages[formPolicy]),
		Flash:    file.Forms.Flash, Created: file.Forms.Created, Operation: file.Operations.Enabled,
	})
}

// operationConfig says how slow submissions are answered. Where the app is on this
// machine it reaches the gateway at listen.
func operationConfig(file configfile.File, upstream *url.URL) operation.Config {
	o := file.Operations
	c := operation.Config{After: time.Duration(o.After), Grace: time.Duration(o.Grace), NoCancel: !o.Cancel, Base: o.Base}
	host, port, err := net.SplitHostPort(file.Listen)
	ip := net.ParseIP(host)
	if c.Base == "" && err == nil && port != "0" && (ip.IsLoopback() || host == "localhost") && (net.ParseIP(upstream.Hostname()).IsLoopback() || upstream.Hostname() == "localhost") {
		c.Base = "http://" + file.Listen
	}
	return c
}

// searchOf is what a route's searches are made up of; nil: it has none.
func searchOf(s configfile.Search) *form.Search {
	if len(s.Fields) == 0 {
		return nil
	}
	return &form.Search{Fields: s.Fields, Defaults: s.Defaults, Only: s.Only, Tracking: s.Tracking, FoldNames: s.FoldNames, FoldCase: s.FoldCase}
}

// formPolicyOf is what is done for forms; nil: nothing.
func formPolicyOf(f configfile.FormPolicy, stage seeother.Stage) *form.Policy {
	if stage == seeother.Off || stage == seeother.Report {
		return nil
	}
	return &form.Policy{Stage: stage, NoTokens: !f.Tokens, NoPages: !f.Pages, Renew: f.Renew}
}

// withForms says how p guards forms, where they have tokens.
func withForms(p *once.Policy, f configfile.FormPolicy) *once.Policy {
	p.Forms = &once.Forms{SameFor: time.Duration(f.SameFor), Reject: f.Changed == "reject"}
	return p
}

func formConfig(f configfile.Forms, proxies trust.Proxies, seal *once.Keys) form.Config {
	return form.Config{
		Tenant: partition, Seal: seal, TokenAge: time.Duration(f.TokenAge), PageAge: time.Duration(f.PageAge),
		PageWait: time.Duration(f.PageWait), PageLimit: int64(f.PageLimit), PagesOfBrowser: int64(f.PagesPerBrowser),
		Pages: int64(f.PagesTotal), Sessions: f.Sessions, Origin: gateway.Origin(proxies),
	}
}

func seeOther(s configfile.SeeOther, stage seeother.Stage) seeother.Policy {
	return seeother.Policy{Stage: stage, CrossOrigin: s.CrossOrigin, Credentials: s.Credentials}
}

func oncePolicyOf(site string, o configfile.OncePolicy, stage seeother.Stage, proxies trust.Proxies) *once.Policy {
	p := &once.Policy{
		Stage: stage, Required: o.Required, Methods: o.Methods, Key: keySource(o), Scope: o.Scope, Site: site,
		NotApplied: o.NotApplied, FailOpen: o.FailOpen, Replay: o.ReplayHeaders,
		Principal: once.PrincipalRule{
			Header: o.Principal.Header, Cookie: o.Principal.Cookie.Name,
			Trusted: func(r *http.Request) bool { return proxies.Resolve(r).Trusted },
		}.Of,
	}
	switch o.OnUncertain {
	case "retry":
		p.OnUncertain = once.Retry
	case "probe":
		p.OnUncertain = once.AskProbe
		p.Probe, _ = once.HTTPProbe(o.Probe) // the configuration was checked; without one the policy is refused
	}
	return p
}

// keySource is where the key of a submission is. The configuration was checked.
func keySource(o configfile.OncePolicy) once.KeySource {
	if o.Key == "" {
		return once.KeySource{Header: o.Header}
	}
	k, _ := once.ParseKeySource(o.Key) // see above
	return k
}

func proxies(file configfile.File) trust.Proxies { return networks(file.Trust.Proxies) }

func networks(list []configfile.Network) trust.Proxies {
	out := make(trust.Proxies, len(list))
	for i, network := range list {
		out[i] = netip.Prefix(network)
	}
	return out
}

// gatewayConfig is what holds for all routes.
func gatewayConfig(file configfile.File, upstream *url.URL) gateway.Config {
	return gateway.Config{
		Upstream: upstream,
		Trust:    proxies(file),
		Timeouts: gateway.Timeouts{
			Dial: time.Duration(file.Upstream.DialTimeout), ResponseHeader: endless(file.Upstream.ResponseTimeout),
			Send: endless(file.Upstream.SendTimeout), Answer: endless(file.Upstream.AnswerTimeout),
			Idle: time.Duration(file.Upstream.IdleTimeout), ReadHeader: time.Duration(file.Limits.ReadHeaderTimeout),
			ClientRead: endless(file.Limits.ReadTimeout), ClientWrite: endless(file.Limits.WriteTimeout),
			ClientIdle: time.Duration(file.Limits.IdleTimeout),
		},
		Health: healthCheck(file), Failover: failover(file),
		Limits:       gateway.Limits{Header: int(file.Limits.Headers), Body: int64(file.Limits.Body), Idle: file.Upstream.MaxIdle},
		ServerTiming: file.ServerTiming,
	}
}

// endless turns the file's word for "for ever", 0, into the gateway's.
func endless(d configfile.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return time.Duration(d)
}

func onceConfig(o configfile.Once) (once.Config, error) {
	keys, err := encryptionKeys(o.Encryption)
	return once.Config{
		Keys: keys,

		Lease: time.Duration(o.Lease), Wait: time.Duration(o.Wait), MaxWait: time.Duration(o.MaxWait),
		Retention: time.Duration(o.Retention), Tombstone: time.Duration(o.Tombstone), Cookies: time.Duration(o.Cookies),
		Linger: time.Duration(o.Linger), Buffer: int64(o.Buffer), ResultLimit: int64(o.ResultLimit), Memory: int64(o.Memory),
		MaxUncertain: o.Caps.Uncertain, MaxUncertainPerPrincipal: o.Caps.UncertainPerPrincipal,
		MaxActive: o.Caps.Active, MaxActivePerPrincipal: o.Caps.ActivePerPrincipal,
	}, err
}

// encryptionKeys are what stored answers are encrypted with; nil: nothing.
func encryptionKeys(e configfile.Encryption) (*once.Keys, error) {
	const hint = "make a key with: openssl rand -hex 32"
	switch {
	case e.KeyFile != "":
		f, err := os.Open(e.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("encryption keys: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		keys, err := once.ParseKeys(f)
		if err != nil {
			return nil, &hinted{fmt.Errorf("encryption keys: file %q: %w", e.KeyFile, err), hint}
		}
		return keys, nil
	case e.KeyEnv != "":
		keys, err := once.ParseKeys(strings.NewReader(os.Getenv(e.KeyEnv)))
		if err != nil {
			return nil, &hinted{fmt.Errorf("encryption keys: environment variable %q: %w", e.KeyEnv, err), hint}
		}
		return keys, nil
	}
	return nil, nil
}
