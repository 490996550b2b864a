// Command kubectl is upstream's. It is linked apart from the node: what a
// program links is initialised at each of its starts, and there are thousands.
package main

import (
	_ "cluster/english"

	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints as kubectl does, and exits
	}
}
