"""What shells offer where a field, a code or a class is meant. Made by `./dev generate`. Pure."""

from __future__ import annotations

FIELDS = """
vmlaunch name boot cpus memory devices disks nics shares vsock cloud-init vfio confine boot.kernel boot.initrd
boot.cmdline boot.firmware boot.variables cpus.count cpus.pin cpus.topology cpus.nested cpus.topology.sockets
cpus.topology.cores cpus.topology.threads memory.size memory.pages memory.node memory.at devices.pci
devices.vf devices.match devices.pick devices.mdev devices.expect devices.companions devices.bind devices.rom
devices.guest devices.allow devices.boot-order devices.network devices.match.class devices.match.id
devices.match.serial devices.match.slot devices.match.node devices.match.pf devices.network.mac
devices.network.vlan devices.network.trust devices.network.spoofcheck disks.path disks.socket disks.format
disks.readonly disks.queues disks.discard disks.boot-order nics.bridge nics.tap nics.socket nics.user nics.mac
nics.mtu shares.path shares.readonly vsock.cid cloud-init.user-data cloud-init.meta-data
cloud-init.network-config
"""
CODES = """
E001 E002 E003 E004 E005 E006 E007 E008 E009 E010 E011 E012 E013 E014 E015 E016 E017 E018 E019 E020 E021 E022
E023 E024 E025 E026 E027 E028 E029 E101 E102 E104 E105 E106 E107 E108 E109 E110 E111 E112 E113 E114 E115 E116
E117 E118 E119 E120 E121 E122 E123 E124 E125 E126 E127 E128 E129 E130 E131 E132 E133 E134 E135 E136 E140 E141
E142 E144 E145 E146 E147 E148 E149 E201 E202 E203 E204 E205 E206 E207 E208 E209 E210 E211 E212 E213 E214 W214
E215 E216 W216 E220 W220 E221 W221 E222 W222 E223 E224 E225 E226 E227 E228 E229 E230 W230 E231 W231 E232 W232
E233 W233 E234 W234 E235 W235 E236 W236 E237 W237 E238 E239 E240 W241 W242 W243 W244 E245 E246 E247 E248 E250
W251 W252 W253 W254 W255 E256 W257 W258 W259 E260 W260 E261 W261 W262 W263 W264 W265 W266 W267 W268 W269 E290
E291 E292 E293 E294 E295 E296 E297 E298 E299 E301 W301 E302 W302 E303 E304 E305 E306 E307 E308 E309 E310 E311
E312 E313 W313 E314 W314 E315 W315 E316 W316 E317 W317 E318 W318 E319 W319 E320 W320 W321 E322 W323 E401 E402
W402 E403 W403 E404 W404 E405 W405 E406 W406 E407 E408 E410 E411 E412 E413 E414 E415 E416 E417 E418 E419 E420
E421 E422 E424 E425 E426 E427 E428 E429 E430 W430 W431 W432 W433 W434 W435 E440 W440 E441 E442 E450 E451 E452
E453 E454 E455 E456 E457 E458 E459 W459 W460 W461 E462 W463 E464 E465 E501 W501 E502 W502 E507 E508 E509 E510
E512 E513 E514 E515 E516 E517 E518 E519 E520 E521 E522 E523 E524 E525 W526 W527 E528 W528 E529 E530 E531 E532
E533 E535 E540 W540 E541 W541 E542 W542 E543 W543 E544 E546 E550 E551 E552 E555 E560 E561 E562 E563 E564 E565
E566 E567 E568 E570 E571 E572 E573 E574 E575 E576 W576 W577 E579 E580 E581 E583 E584 E585 E600 E601 E602 E603
E604 E605 E606 E607 E608 W608 E609 E610 W610 E611 E612 E613 E614 E615 E616 E617 E618 W618 E619 E620 E621 E622
W622 E623 W623 W624 E630 E631 E632 E633 E634 E635 E636 W636 E637 E638 E639 W639 E640 E642 E643 E644 E646 E647
E648 E649 E650 W650 E651 E652 E653 E654 W654 E655 E656 W656 E657 W657 E658 E659 W659
"""
CLASSES = """
gpu display network ethernet infiniband wifi storage nvme usb audio fpga tpm
"""
