// SPDX-License-Identifier: Apache-2.0
// ferryd's configuration file (docs/interfaces.md, section 2).
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

#define HOST_NAME_MAX_BYTES 32
#define ADDRESS_MAX_BYTES   64
#define CONFIG_MAX_PEERS    64

struct config_peer {
	char name[HOST_NAME_MAX_BYTES + 1];
	char address[ADDRESS_MAX_BYTES + 1]; // numeric, with a port: "10.98.0.2:7700"
};

struct config {
	char host[HOST_NAME_MAX_BYTES + 1];
	char state[4096];                   // absolute
	char listen[ADDRESS_MAX_BYTES + 1]; // "": no peers can connect
	struct config_peer peers[CONFIG_MAX_PEERS];
	size_t n_peers;
	struct {
		char bridge[16];               // "": VMs get no network
		uint32_t network;              // host byte order
		unsigned prefix;               // bits
		uint32_t first;                // the first address given to a VM
		char gateway[INET_ADDRSTRLEN]; // the subnet's first address
	} guest;
	char image[4096];               // folder with vmlinuz and initramfs.cpio.gz; absolute
	char programs[4096];            // folder with ferry-vgpu and ferry-relay; absolute
	bool faults;                    // fault points may be set
	uint64_t bandwidth_bytes_per_s; // cap on migration traffic; 0: none
	uint64_t memory_bytes;          // cap on what VMs are given, RAM and framebuffers; 0: none
	char tracker[16];               // "auto", "wp" or "digest"
	char **env;                     // "NAME=value" for ferry-vgpu, NULL-terminated; owned
	json_t *settings; // {"key":"value"}, for all VMs of the hosts with this file; owned, or NULL
};

// Reads and checks the file; `c` is untouched on error. Relative paths in it are relative to the
// folder that ferryd was started in, and come out absolute.
int config_load(const char *path, struct config *c, struct ferry_error *e);
int config_parse(const json_t *doc, struct config *c, struct ferry_error *e);
void config_free(struct config *c);

// The peer's address, or NULL when there is none of that name.
const char *config_peer_address(const struct config *c, const char *name);
