package kube

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
)

// Each kind of credentials reaches the API server, from files or from the kubeconfig itself.
func TestKubeconfig(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	pair := authority.Issue(time.Hour, "client.example")
	dir := t.TempDir()
	seen := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Authorization") }))
	defer server.Close()
	ca := pemOf(server)
	write(t, filepath.Join(dir, "ca.pem"), ca)
	write(t, filepath.Join(dir, "token"), "from-file\n")
	for name, c := range map[string]struct{ cluster, user, want string }{
		"token":      {`certificate-authority: ca.pem`, `token: abc`, "Bearer abc"},
		"token file": {`certificate-authority: ` + dir + `/ca.pem`, `token: abc, tokenFile: token`, "Bearer from-file"},
		"data":       {`certificate-authority-data: ` + in64(ca), `client-certificate-data: ` + in64(read(t, pair.Cert)) + `, client-key: ` + pair.Key, ""},
		"insecure":   {`insecure-skip-tls-verify: true`, `token: abc`, "Bearer abc"},
		"name":       {`certificate-authority: ca.pem, tls-server-name: example.com`, ``, ""},
	} {
		file := filepath.Join(dir, "config")
		write(t, file, kubeconfigOf("server: "+server.URL+"/, "+c.cluster, c.user))
		a, err := readKubeconfig(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := httptest.NewRequest(http.MethodGet, a.server+"/x", http.NoBody)
		r.RequestURI = ""
		if err := a.authorize(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		transport := a.transport()
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		res.Body.Close()
		transport.CloseIdleConnections()
		if got := <-seen; got != c.want || a.namespace != "prod" || len(a.tls.Certificates) == 0 && name == "data" {
			t.Errorf("%s: Authorization %q, want %q; namespace %s", name, got, c.want, a.namespace)
		}
	}
}

// A kubeconfig that tether cannot use is an error without any of its secrets.
func TestKubeconfigsThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	const good = "server: https://127.0.0.1:1"
	pair := tlstest.NewAuthority(t).Issue(time.Hour, "a")
	other := tlstest.NewAuthority(t).Issue(time.Hour, "b")
	for text, want := range map[string]string{
		"":                   `no context "", which is current-context`,
		"current-context: x": `no context "x", which is current-context`,
		"token: hunter2: [":  "is no kubeconfig",
		"contexts: hunter2":  "is no kubeconfig",
		strings.Replace(kubeconfigOf(good, ""), "cluster: c,", "cluster: d,", 1):        `no cluster "d", which the context names`,
		kubeconfigOf("server: hunter2", ""):                                             "the server of the cluster, want https://HOST:PORT",
		kubeconfigOf(good+", certificate-authority-data: hunter2!", ""):                 "CA certificates that are not base64",
		kubeconfigOf(good+", certificate-authority-data: aHVudGVyMg==", ""):             "there is no certificate in the CA file of the cluster",
		kubeconfigOf(good+", certificate-authority: none", ""):                          `"` + dir + `/none" is not there, want CA certificates: write it, or leave the key out`,
		kubeconfigOf(good, "exec: {command: aws}"):                                      "the user of the context has exec, auth-provider or username, want a token or a client certificate",
		kubeconfigOf(good, "username: hunter2, password: hunter2"):                      "the user of the context has exec, auth-provider or username, want a token or a client certificate",
		kubeconfigOf(good, "client-certificate: "+pair.Cert+", client-key: "+other.Key): "the client certificate and its key do not match",
		kubeconfigOf(good, "client-certificate: "+pair.Cert):                            "the client certificate and its key do not match",
	} {
		write(t, file, text)
		a, err := readKubeconfig(file)
		if a != nil || err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), `"`+file+`"`) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func kubeconfigOf(cluster, user string) string {
	return "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: prod}}]\nclusters: [{name: c, cluster: {" + cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"
}

func in64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
