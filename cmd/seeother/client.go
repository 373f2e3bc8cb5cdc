package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Bounds of the admin API's client.
const (
	clientTimeout = 90 * time.Second // a stage that rises waits for its smoke requests
	maxAnswer     = 64 << 20         // bytes
)

// adminClient speaks to the admin API of a running gateway.
type adminClient struct {
	address   string // as the user gave it
	tokenFile string
}

// addFlags adds the flags that say where the gateway is.
func (c *adminClient) addFlags(verb *cobra.Command) {
	verb.PersistentFlags().StringVar(&c.address, "admin", "127.0.0.1:8304", "the gateway's admin `address`: host:port or URL")
	verb.PersistentFlags().StringVar(&c.tokenFile, "token-file", "", "`file` with the admin token, where one is set")
}

// call sends a request and reads the answer into out.
func (c *adminClient) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if fault, ok := errors.AsType[*url.Error](err); ok {
			err = fault.Err
		}
		return &hinted{
			fmt.Errorf("gateway at %s: %w", c.address, err),
			`is "seeother run" running there? --admin names its admin address`,
		}
	}
	defer func() { _ = res.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("gateway at %s: %w", c.address, err)
	}
	if res.StatusCode != http.StatusOK {
		return c.refused(res, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("gateway at %s: an answer that is not the admin API's: %w", c.address, err)
	}
	return nil
}

func (c *adminClient) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	base := c.address
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return nil, &usageError{fmt.Errorf("admin address %q: want host:port", c.address), "for example --admin 127.0.0.1:8304"}
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.tokenFile != "" {
		token, err := readToken(c.tokenFile)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// refused is what the gateway said instead of doing it.
func (c *adminClient) refused(res *http.Response, body []byte) error {
	var p struct{ Title, Detail string }
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media != "application/problem+json" || json.Unmarshal(body, &p) != nil {
		return &hinted{
			fmt.Errorf("gateway at %s: answered %s", c.address, res.Status),
			"is that its admin address? 8303 is where clients connect, 8304 is for operators",
		}
	}
	err := fmt.Errorf("%s: %s", strings.ToLower(p.Title), p.Detail)
	if res.StatusCode == http.StatusUnauthorized {
		return &hinted{err, "name the file that holds the token with --token-file"}
	}
	return err
}

// maxToken bounds what is read of a token file, in bytes.
const maxToken = 4 << 10

// readToken reads a secret that stands alone in a file.
func readToken(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > maxToken || strings.ContainsAny(token, "\r\n") {
		return "", &hinted{fmt.Errorf("token file %q: want one line with a token", path), "make one with: openssl rand -hex 32"}
	}
	return token, nil
}
