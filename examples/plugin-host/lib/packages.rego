# A library: its package is not below bartizan.host.
package house.packages

installed := input.packages
