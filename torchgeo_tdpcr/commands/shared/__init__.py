# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""What the subcommands share: arguments, checks, the model, words."""
