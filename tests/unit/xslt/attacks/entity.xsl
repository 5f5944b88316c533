<!DOCTYPE xsl:stylesheet [<!ENTITY stolen SYSTEM "file:///OUTSIDE/secret.xml">]>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><out>&stolen;</out></xsl:template></xsl:stylesheet>
