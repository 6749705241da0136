package cli

// referenceHelp describes image and layer references in the help of many commands.
const referenceHelp = imageHelp + `

LAYER is one of
  tar:FILE, tar:-             a layer tar, uncompressed or with gzip or zstd
  wclayer:DIR                 a transport directory or a final layer directory
  cim:FILE.cim                a CimFS image`

// imageHelp describes image references alone.
const imageHelp = `IMAGE is one of
  oci:DIR[:TAG]               an OCI image layout in a directory
  oci-archive:FILE[:TAG]      an OCI image layout in a tar file
  docker-archive:FILE[:NAME]  an archive written by "docker save"
  docker://NAME, or NAME      an image in a registry: registry/name:tag
  containerd:[NAMESPACE/]NAME an image in containerd; NAME includes the registry
All forms except containerd: also accept a digest, @sha256:…, at the end.`
