package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/tlsfiles/tlstest"
)

// secured runs tether with a certificate, and returns its URL and the files of its certificate.
func secured(t *testing.T, authority *tlstest.Authority, clientCA string) (url string, files tlstest.Pair, p *binary.Tether) {
	t.Helper()
	dir := t.TempDir()
	files = tlstest.Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	install(t, files, authority.Issue(time.Hour, "127.0.0.1", "first"))
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("tls: { cert: %q, key: %q, client_ca: %q }\n", files.Cert, files.Key, clientCA)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p = binary.Run(t, servers(t, 2), "-c", config)
	return strings.Replace(p.URL, "http://", "https://", 1), files, p
}

// install copies a certificate into the files that tether reads.
func install(t *testing.T, files, pair tlstest.Pair) {
	t.Helper()
	for to, from := range map[string]string{files.Cert: pair.Cert, files.Key: pair.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ask sends a request and returns the certificate that tether showed.
func ask(ctx context.Context, client *http.Client, url string) (*x509.Certificate, error) {
	const body = `{"model":"tiny","max_tokens":4,"stream":true,"messages":[{"role":"user","content":"Hello"}]}`
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
		return nil, fmt.Errorf("%d, %w: %s", res.StatusCode, err, text)
	}
	return res.TLS.PeerCertificates[0], nil
}

// httpsClient is a client that keeps its connections, or opens one for each request.
func httpsClient(cfg *tls.Config, kept bool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: !kept}}
}

// A certificate is replaced while clients send requests on kept and on new connections. No request fails, and new connections show
// the new certificate.
func TestCertificateIsSwappedUnderLoad(t *testing.T) {
	t.Parallel()
	authority := tlstest.NewAuthority(t)
	url, files, p := secured(t, authority, "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var requests, failed, swapped atomic.Int64
	next := authority.Issue(2*time.Hour, "127.0.0.1", "second")
	want := next.Load(t).Leaf.SerialNumber
	seen := make(chan struct{}, 1)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			client := httpsClient(&tls.Config{RootCAs: authority.Pool}, n%2 == 0)
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				cert, err := ask(context.WithoutCancel(ctx), client, url)
				if requests.Add(1); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				if cert.SerialNumber.Cmp(want) == 0 && swapped.Add(1) == 1 {
					seen <- struct{}{}
				}
			}
		})
	}
	install(t, files, next)
	select {
	case <-seen:
	case <-time.After(patience):
		t.Error("no connection shows the new certificate")
	}
	stop()
	all.Wait()
	t.Logf("%d requests, %d failed, %d saw the new certificate", requests.Load(), failed.Load(), swapped.Load())
	p.Await(t, `tether_certificate_reloads_total{result="ok"}`, patience, func(n float64) bool { return n == 1 })
	if failed := p.Metric(t, `tether_certificate_reloads_total{result="failed"}`); failed != 0 {
		t.Errorf("the metric counts %v failed reloads", failed)
	}
	if at := p.Metric(t, `tether_certificate_expires_timestamp_seconds{of="listener"}`); at != float64(next.Load(t).Leaf.NotAfter.Unix()) {
		t.Errorf("the metric says that it expires at %v", at)
	}
}

// With client_ca, tether accepts only clients that show a valid certificate of it.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	authority, clients, other := tlstest.NewAuthority(t), tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	url, _, _ := secured(t, authority, clients.File)
	for name, c := range map[string]struct {
		pair *tlstest.Pair
		good bool
	}{
		"none":       {},
		"of another": {pair: pointer(other.Issue(time.Hour, "alice"))},
		"expired":    {pair: pointer(clients.Issue(-time.Minute, "alice"))},
		"good":       {pair: pointer(clients.Issue(time.Hour, "alice")), good: true},
	} {
		cfg := &tls.Config{RootCAs: authority.Pool}
		if c.pair != nil {
			cert := c.pair.Load(t)
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		if _, err := ask(t.Context(), httpsClient(cfg, false), url); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func pointer[T any](v T) *T { return &v }
