package kube

import (
	"fmt"
	"regexp"
	"strconv"
)

// Config is one service of a cluster.
type Config struct {
	// Namespace is where the service is. Default: the namespace of the pod, or that of the kubeconfig.
	Namespace string `yaml:"namespace,omitempty"`
	// Service is the name of the service whose pods are the servers.
	Service string `yaml:"service"`
	// Port is the name or number of a port of the pods, as EndpointSlices have it. Default: the only one.
	Port string `yaml:"port,omitempty"`
	// PodSelector is a label selector that matches the pods of the service. With it, annotations of the pods count.
	PodSelector string `yaml:"pod_selector,omitempty"`
	// Kubeconfig is a file that says where the cluster is. Default: the service account of the pod.
	Kubeconfig string `yaml:"kubeconfig,omitempty"`
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// maxSelector limits a label selector, in bytes.
const maxSelector = 1024

// Validate reports every problem: a key, and what is wrong with its value.
func (c Config) Validate(report func(key, problem string)) {
	const name = "want 1..63 of a-z, 0-9 and -"
	if c.Namespace != "" && !validName.MatchString(c.Namespace) {
		report("namespace", fmt.Sprintf("%q, %s", c.Namespace, name))
	}
	if !validName.MatchString(c.Service) {
		report("service", fmt.Sprintf("%q, %s", c.Service, name))
	}
	if n, err := strconv.Atoi(c.Port); err == nil && (n < 1 || n > 65535) || err != nil && c.Port != "" && !validName.MatchString(c.Port) {
		report("port", fmt.Sprintf("%q, want the name of a port or 1..65535", c.Port))
	}
	if len(c.PodSelector) > maxSelector {
		report("pod_selector", fmt.Sprintf("has %d bytes, want at most %d", len(c.PodSelector), maxSelector))
	}
	if c.Kubeconfig != "" {
		if _, err := readKubeconfig(c.Kubeconfig); err != nil {
			report("kubeconfig", err.Error())
		}
	}
}
