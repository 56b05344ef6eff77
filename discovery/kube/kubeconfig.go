package kube

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"tether/files"
)

// kubeconfig is the part of a kubeconfig that tether needs.
type kubeconfig struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster   string `yaml:"cluster"`
			User      string `yaml:"user"`
			Namespace string `yaml:"namespace"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string  `yaml:"name"`
		Cluster cluster `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string `yaml:"name"`
		User user   `yaml:"user"`
	} `yaml:"users"`
}

type cluster struct {
	Server        string  `yaml:"server"`
	ServerName    string  `yaml:"tls-server-name"`
	Authority     string  `yaml:"certificate-authority"`
	AuthorityData encoded `yaml:"certificate-authority-data"`
	Insecure      bool    `yaml:"insecure-skip-tls-verify"`
}

type user struct {
	Token           string  `yaml:"token"`
	TokenFile       string  `yaml:"tokenFile"`
	Certificate     string  `yaml:"client-certificate"`
	CertificateData encoded `yaml:"client-certificate-data"`
	Key             string  `yaml:"client-key"`
	KeyData         encoded `yaml:"client-key-data"`
	Exec            any     `yaml:"exec"`
	AuthProvider    any     `yaml:"auth-provider"`
	Username        string  `yaml:"username"`
}

// readKubeconfig returns the way of the file's current context.
func readKubeconfig(path string) (*access, error) {
	text, err := files.Read(path, "a kubeconfig", maxFile)
	if err != nil {
		return nil, err
	}
	var k kubeconfig
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%q is no kubeconfig", path) // the error would quote the file, which has secrets
	}
	a, err := k.access(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return a, nil
}

// access returns the way of the current context; relative paths begin in dir.
func (k *kubeconfig) access(dir string) (*access, error) {
	for _, c := range k.Contexts {
		if c.Name != k.CurrentContext {
			continue
		}
		a := &access{namespace: cmp.Or(c.Context.Namespace, "default"), tls: &tls.Config{MinVersion: tls.VersionTLS12}}
		for _, named := range k.Clusters {
			if named.Name == c.Context.Cluster {
				if err := named.Cluster.open(dir, a); err != nil {
					return nil, err
				}
			}
		}
		if a.server == "" {
			return nil, fmt.Errorf("no cluster %q, which the context names", c.Context.Cluster)
		}
		for _, named := range k.Users {
			if named.Name == c.Context.User {
				return a, named.User.open(dir, a)
			}
		}
		return a, nil
	}
	return nil, fmt.Errorf("no context %q, which is current-context", k.CurrentContext)
}

func (c *cluster) open(dir string, a *access) error {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the server of the cluster, want https://HOST:PORT")
	}
	a.server = strings.TrimSuffix(c.Server, "/")
	a.tls.ServerName = c.ServerName
	a.tls.InsecureSkipVerify = c.Insecure //nolint:gosec // the file asks for it
	authority, err := c.AuthorityData.or(dir, c.Authority, "CA certificates")
	if err != nil || authority == nil {
		return err
	}
	return a.trust(authority)
}

func (u *user) open(dir string, a *access) error {
	if u.Exec != nil || u.AuthProvider != nil || u.Username != "" {
		return errors.New("the user of the context has exec, auth-provider or username, want a token or a client certificate")
	}
	a.token = u.Token
	if u.TokenFile != "" {
		a.token, a.tokenFile = "", inDir(dir, u.TokenFile)
	}
	certificate, err := u.CertificateData.or(dir, u.Certificate, "a client certificate")
	if err != nil {
		return err
	}
	key, err := u.KeyData.or(dir, u.Key, "the key of a client certificate")
	if err != nil || certificate == nil && key == nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return errors.New("the client certificate and its key do not match")
	}
	a.tls.Certificates = []tls.Certificate{pair}
	return nil
}
