package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tether/files"
)

// access is a way to the API server, with what its files held when it was made. Only the token is read again for each
// request: the kubelet replaces it every hour.
type access struct {
	server    string // https://HOST:PORT
	namespace string // of the pod or the kubeconfig
	tls       *tls.Config
	token     string // "" if tokenFile has it, or if there is none
	tokenFile string // "" if there is none
}

// The files of a pod's service account.
const (
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenName      = "token"
	authorityName  = "ca.crt"
	namespaceName  = "namespace"
)

// maxFile limits each file, in bytes.
const maxFile = 1 << 20

// inCluster returns the way of a pod with a service account in dir.
func inCluster(dir string) (*access, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of a cluster (KUBERNETES_SERVICE_HOST is unset): want kubeconfig")
	}
	authority, err := files.Read(filepath.Join(dir, authorityName), "the CA certificates of a service account", maxFile)
	if err != nil {
		return nil, err
	}
	namespace, err := files.Read(filepath.Join(dir, namespaceName), "the namespace of a service account", maxFile)
	if err != nil {
		return nil, err
	}
	a := &access{
		server: "https://" + net.JoinHostPort(host, port), namespace: string(bytes.TrimSpace(namespace)),
		tokenFile: filepath.Join(dir, tokenName), tls: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return a, a.trust(authority)
}

// trust accepts certificates of these authorities alone.
func (a *access) trust(authorities []byte) error {
	a.tls.RootCAs = x509.NewCertPool()
	if !a.tls.RootCAs.AppendCertsFromPEM(authorities) {
		return errors.New("there is no certificate in the CA file of the cluster")
	}
	return nil
}

// authorize adds the token to a request.
func (a *access) authorize(r *http.Request) error {
	token := a.token
	if a.tokenFile != "" {
		text, err := files.Read(a.tokenFile, "a token", maxFile)
		if err != nil {
			return err
		}
		token = string(bytes.TrimSpace(text))
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// dialTimeout limits connecting, and again the TLS handshake.
const dialTimeout = 5 * time.Second

// transport makes connections. They speak HTTP/1.1: on one connection of HTTP/2, a watch that hangs would delay the request that
// replaces it.
func (a *access) transport() *http.Transport {
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext, TLSClientConfig: a.tls,
		TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
}

// open returns the way that the configuration names.
func (c Config) open() (*access, error) {
	if c.Kubeconfig == "" {
		return inCluster(serviceAccount)
	}
	a, err := readKubeconfig(c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return a, nil
}
