package kube

import (
	"encoding/pem"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestInCluster(t *testing.T) {
	dir := t.TempDir()
	try := func(want string) {
		t.Helper()
		a, err := inCluster(dir)
		if a != nil && err == nil || err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	try("this is no pod of a cluster (KUBERNETES_SERVICE_HOST is unset): want kubeconfig")
	t.Setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	try("is not there, want the CA certificates of a service account: write it, or leave the key out")
	write(t, filepath.Join(dir, authorityName), "x")
	try("is not there, want the namespace of a service account: write it, or leave the key out")
	write(t, filepath.Join(dir, namespaceName), "prod\n")
	try("there is no certificate in the CA file of the cluster")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	write(t, filepath.Join(dir, authorityName), pemOf(server))
	a, err := inCluster(dir)
	if err != nil || a.server != "https://[fd00::1]:443" || a.namespace != "prod" || a.tokenFile != filepath.Join(dir, tokenName) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := a.authorize(httptest.NewRequest("GET", "/", nil)); err == nil || !strings.HasSuffix(err.Error(), `is not there, want a token: write it, or leave the key out`) {
		t.Error(err)
	}
}
