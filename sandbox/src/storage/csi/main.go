// Command csi is the sandbox's CSI driver: every volume is a directory of the
// node, bound into the pod. It serves the CSI services on one socket and
// announces itself to kubelet on another.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverName = "hostpath.csi.sandbox.local"

func main() {
	socket := flag.String("socket", "", "where to serve the CSI services")
	registrationSocket := flag.String("registration-socket", "", "where kubelet finds the driver")
	directory := flag.String("directory", "", "where volumes and snapshots are kept")
	node := flag.String("node", "", "the node's name")
	flag.Parse()
	if err := run(*socket, *registrationSocket, *directory, *node); err != nil {
		fmt.Fprintln(os.Stderr, "csi:", err)
		os.Exit(1)
	}
}

func run(socket, registrationSocket, directory, node string) error {
	store, err := openStore(directory)
	if err != nil {
		return err
	}
	driver := grpc.NewServer()
	csi.RegisterIdentityServer(driver, identity{})
	csi.RegisterControllerServer(driver, controller{store: store, node: node})
	csi.RegisterNodeServer(driver, nodeService{store: store, node: node})

	registrar := grpc.NewServer()
	registration.RegisterRegistrationServer(registrar, registrationService{socket: socket})

	failed := make(chan error, 2)
	go func() { failed <- serve(driver, socket) }()
	go func() { failed <- serve(registrar, registrationSocket) }()
	return <-failed
}

func serve(server *grpc.Server, socket string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return server.Serve(listener)
}
