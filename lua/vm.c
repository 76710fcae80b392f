#include "lua/stdlib.h"
