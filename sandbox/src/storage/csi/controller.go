package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// topologyKey is the label that ties a volume to the node that holds it.
const topologyKey = "topology.sandbox.local/node"

const defaultCapacity = 1 << 30

const noCapabilities = "the volume's capabilities are missing"

type controller struct {
	csi.UnimplementedControllerServer
	store store
	node  string
}

func (c controller) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, capability := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: capability}},
		})
	}
	return response, nil
}

func (c controller) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if _, err := c.store.find(volumes, request.VolumeId); err != nil {
		return nil, asStatus(err)
	}
	if len(request.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, noCapabilities)
	}
	if reason := unsupported(request.VolumeCapabilities); reason != "" {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: reason}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: request.VolumeCapabilities},
	}, nil
}

// CreateVolume makes an empty volume, or one that starts as a copy of a
// snapshot or of another volume. The name is the identity: asked again for the
// same name, it answers with the volume that is there.
func (c controller) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if reason := unsupported(request.VolumeCapabilities); reason != "" {
		return nil, status.Error(codes.InvalidArgument, reason)
	}
	capacity := request.GetCapacityRange().GetRequiredBytes()
	if capacity == 0 {
		capacity = defaultCapacity
	}
	created, err := c.store.create(volumes, request.Name, capacity, originOf(request.VolumeContentSource))
	if err != nil {
		return nil, asStatus(err)
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId:           created.ID,
		CapacityBytes:      created.Capacity,
		ContentSource:      request.VolumeContentSource,
		AccessibleTopology: []*csi.Topology{{Segments: map[string]string{topologyKey: c.node}}},
	}}, nil
}

func (c controller) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, asStatus(c.store.remove(volumes, request.VolumeId))
}

func (c controller) CreateSnapshot(_ context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if request.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "the snapshot has no name")
	}
	source, err := c.store.find(volumes, request.SourceVolumeId)
	if err != nil {
		return nil, asStatus(err)
	}
	origin := &origin{Kind: volumes, ID: source.ID}
	created, err := c.store.create(snapshots, request.Name, source.Capacity, origin)
	if err != nil {
		return nil, asStatus(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: &csi.Snapshot{
		SnapshotId:     created.ID,
		SourceVolumeId: source.ID,
		SizeBytes:      created.Capacity,
		CreationTime:   timestamppb.New(created.Created),
		ReadyToUse:     true,
	}}, nil
}

func (c controller) DeleteSnapshot(_ context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	return &csi.DeleteSnapshotResponse{}, asStatus(c.store.remove(snapshots, request.SnapshotId))
}

func originOf(source *csi.VolumeContentSource) *origin {
	switch {
	case source.GetSnapshot() != nil:
		return &origin{Kind: snapshots, ID: source.GetSnapshot().SnapshotId}
	case source.GetVolume() != nil:
		return &origin{Kind: volumes, ID: source.GetVolume().VolumeId}
	}
	return nil
}

// unsupported says why a volume with these capabilities cannot be had, or "".
func unsupported(capabilities []*csi.VolumeCapability) string {
	if len(capabilities) == 0 {
		return noCapabilities
	}
	for _, capability := range capabilities {
		if capability.GetBlock() != nil {
			return "block volumes are not supported: the volumes are directories"
		}
	}
	return ""
}

func asStatus(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, errDifferent):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, errBadName):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}
