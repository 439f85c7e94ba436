// SPDX-License-Identifier: Apache-2.0
//
// Compiles the layout's assertions on its own, so that a wrong layout fails here and not in whoever includes it.

#include "CShared.h"
